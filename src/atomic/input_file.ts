/** A regular file being read from its beginning to its end. */

import { CrashSafeError, explainCode } from "../base/errors.ts";
import { isRegular } from "../base/file_types.ts";
import type { FileStat } from "../base/fs_adapter.ts";
import type { Begun, OpenFile, StepFs } from "../base/step_fs.ts";
import type { Steps } from "../base/steps.ts";
import { closeQuietly } from "../base/directories.ts";
import { throwIfAborted } from "../base/abort.ts";
import type { SiblingSink, Sink } from "./temp_sibling.ts";

/** An open input. */
export interface InputFile {
  /** What stat(2) said; 0 for the files of /proc, so never a promise. */
  readonly size: number;
  pour(sink: Sink, signal: AbortSignal | undefined): Steps<void>;
  /** Shares the blocks with the sink's file; false where that cannot be done. */
  clone(sink: SiblingSink): Steps<boolean>;
  close(): Steps<void>;
}

/** Opens a file to read. A FIFO, a device or a directory is refused: it might never end. */
export function* openInput(fs: StepFs, path: string): Steps<InputFile> {
  const file = yield* fs.open(path, { access: "read" });
  try {
    const stat = yield* fs.fstat(file);
    if (!isRegular(stat)) throw notRegular(path);
    return {
      size: stat.size,
      pour: (sink, signal) => pourFile(fs, file, stat.size, sink, signal),
      clone: (sink) => sink.clone(file, stat.size),
      close: () => closeQuietly(fs, file),
    };
  } catch (cause) {
    yield* closeQuietly(fs, file);
    throw cause;
  }
}

/** Throws as {@linkcode openInput} would, without opening. Answers the size. */
export function* requireInput(fs: StepFs, path: string): Steps<number> {
  const stat: FileStat | undefined = yield* fs.stat(path);
  if (stat === undefined) {
    throw new CrashSafeError(`Cannot open "${path}": ${explainCode("ENOENT")}`, {
      code: "ENOENT",
      operation: "open",
      path,
    });
  }
  if (!isRegular(stat)) throw notRegular(path);
  return stat.size;
}

/** Reads a whole file into memory. */
export function* readWhole(
  fs: StepFs,
  path: string,
  signal: AbortSignal | undefined,
): Steps<Uint8Array> {
  const file = yield* fs.open(path, { access: "read" });
  try {
    const stat = yield* fs.fstat(file);
    if (!isRegular(stat)) throw notRegular(path);
    // One byte more than expected, so that a file of the expected size ends in one further read.
    let buffer = new Uint8Array(stat.size + 1);
    let length = 0;
    for (;;) {
      throwIfAborted(signal);
      // In pieces, so that an abort does not wait for the whole of a large file.
      const count = yield* fs.read(file, buffer.subarray(length, length + READ_AT_ONCE_BYTES));
      if (count === 0) return buffer.subarray(0, length);
      length += count;
      if (length === buffer.length) {
        const larger = new Uint8Array(Math.max(2 * buffer.length, BUFFER_BYTES));
        larger.set(buffer);
        buffer = larger;
      }
    }
  } finally {
    yield* closeQuietly(fs, file);
  }
}

/**
 * Two buffers: while one is written and hashed the next is read. A buffer is read into again only
 * after its write has settled, and a failed write waits for the read before anything is closed.
 */
function* pourFile(
  fs: StepFs,
  file: OpenFile,
  size: number,
  sink: Sink,
  signal: AbortSignal | undefined,
): Steps<void> {
  const length = Math.min(Math.max(size + 1, SMALLEST_BUFFER_BYTES), BUFFER_BYTES);
  let filling: Uint8Array = new Uint8Array(length);
  let spare: Uint8Array | undefined;
  let count = yield* fs.read(file, filling);
  while (count > 0) {
    throwIfAborted(signal);
    const chunk = filling.subarray(0, count);
    const next = spare ?? new Uint8Array(length);
    const reading = fs.beginRead(file, next);
    try {
      yield* sink.write(chunk);
    } catch (cause) {
      yield* settleQuietly(reading);
      throw cause;
    }
    count = yield* reading.join();
    spare = filling;
    filling = next;
  }
  throwIfAborted(signal);
}

function* settleQuietly(reading: Begun<number>): Steps<void> {
  try {
    yield* reading.join();
  } catch {
    // The write failed first, and that is what the caller will hear.
  }
}

function notRegular(path: string): CrashSafeError {
  return new CrashSafeError(`Cannot read "${path}": ${explainCode("NotRegular")}`, {
    code: "NotRegular",
    operation: "open",
    path,
  });
}

/** Large enough that a call costs nothing beside its bytes, small enough to stay in the cache. */
const BUFFER_BYTES = 1 << 20;
const READ_AT_ONCE_BYTES = 1 << 24;
const SMALLEST_BUFFER_BYTES = 1 << 14;

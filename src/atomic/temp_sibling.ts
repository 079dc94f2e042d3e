/**
 * The temporary file next to a target: made exclusively under a name nobody can guess, never through
 * a symbolic link, on the target's own file system because it is in its directory.
 */

import { basename, dirname } from "node:path";
import type { FileStat } from "../base/fs_adapter.ts";
import { CrashSafeError } from "../base/errors.ts";
import { failedWith, type OpenFile, type StepFs } from "../base/step_fs.ts";
import type { Steps } from "../base/steps.ts";
import type { DigestStream } from "../hash/digest.ts";
import { tempName } from "../scratch/temp_names.ts";
import { makeDirs } from "./directories.ts";

/** A temporary file that is open for writing. */
export interface TempSibling extends OpenFile {
  /** As it was made: who we are, and which inode is ours. */
  readonly made: FileStat;
}

/** What a fresh temporary file depends on. */
export interface SiblingOptions {
  /** Permission bits before the umask. */
  readonly mode: number;
  /** Make the directory when it is missing. */
  readonly createParents: boolean;
}

/** Makes the temporary sibling of `target`. */
export function* createSibling(
  fs: StepFs,
  target: string,
  options: SiblingOptions,
): Steps<TempSibling> {
  const dir = dirname(target);
  const prefix = dir.endsWith("/") ? dir : `${dir}/`;
  for (let attempt = 1;; attempt++) {
    const path = prefix + tempName(basename(target), "u", fs.adapter.process.random);
    try {
      const file = yield* fs.open(path, {
        access: "write",
        create: "exclusive",
        noFollow: true,
        mode: options.mode,
      });
      return yield* identify(fs, file);
    } catch (cause) {
      if (attempt === MOST_ATTEMPTS) throw cause;
      if (failedWith(cause, "EEXIST")) continue;
      if (!(options.createParents && failedWith(cause, "ENOENT"))) throw cause;
    }
    try {
      yield* makeDirs(fs, dir);
    } catch (cause) {
      // A remover took a directory that we had just made; every round is another chance.
      if (!failedWith(cause, "ENOENT")) throw cause;
    }
  }
}

/** Closes and unlinks. Answers the path when the file is still there, and hides no first error. */
export function* discardSibling(fs: StepFs, temp: OpenFile): Steps<string | undefined> {
  try {
    yield* fs.close(temp);
  } catch {
    // The file goes now: whatever its close could not write is not wanted.
  }
  try {
    yield* fs.unlink(temp.path);
  } catch (cause) {
    if (!failedWith(cause, "ENOENT")) return temp.path;
  }
  return undefined;
}

/** What takes the chunks of a source. */
export interface Sink {
  /** Takes all of `chunk`, which must not change until this is done. */
  write(chunk: Uint8Array): Steps<void>;
}

/** The writing end of a temporary file: loops on short writes, counts, and hashes in passing. */
export class SiblingSink implements Sink {
  /** Bytes written so far. */
  bytes = 0;
  readonly #fs: StepFs;
  readonly #temp: OpenFile;
  readonly #digest: DigestStream | undefined;
  readonly #report: ((bytes: number) => void) | undefined;
  #reportedAt = -Infinity;

  constructor(
    fs: StepFs,
    temp: OpenFile,
    digest: DigestStream | undefined,
    report?: (bytes: number) => void,
  ) {
    this.#fs = fs;
    this.#temp = temp;
    this.#digest = digest;
    this.#report = report;
  }

  /** Writes all of `chunk`, which must not change until this is done. */
  *write(chunk: Uint8Array): Steps<void> {
    let rest = chunk;
    let hashed = this.#digest === undefined;
    while (rest.byteLength > 0) {
      const writing = this.#fs.beginWrite(this.#temp, rest);
      // The hash runs on this thread while the system writes on another.
      if (!hashed) this.#digest?.update(chunk);
      hashed = true;
      const written = yield* writing.join();
      if (written <= 0) throw this.#noProgress();
      this.bytes += written;
      rest = rest.subarray(written);
    }
    if (this.#report !== undefined && performance.now() - this.#reportedAt >= REPORT_EVERY_MS) {
      this.#reportedAt = performance.now();
      this.#report(this.bytes);
    }
  }

  /**
   * Takes the whole content of an open file of `size` bytes by sharing its blocks. Answers false, having done nothing,
   * where the file system has no such thing, or the bytes have to pass by for their digest.
   */
  *clone(file: OpenFile, size: number): Steps<boolean> {
    if (this.#digest !== undefined || this.bytes > 0 || size === 0) return false;
    if (!this.#fs.adapter.capabilities.clone) return false;
    if (!(yield* this.#fs.clone(file, this.#temp))) return false;
    this.bytes = (yield* this.#fs.fstat(this.#temp)).size;
    return true;
  }

  // POSIX promises at least one byte or an error; a file system that keeps neither must not hang us.
  #noProgress(): CrashSafeError {
    return new CrashSafeError(`Cannot write "${this.#temp.path}": it takes no more bytes`, {
      code: "NoProgress",
      operation: "write",
      path: this.#temp.path,
    });
  }
}

const MOST_ATTEMPTS = 16;
const REPORT_EVERY_MS = 40;

function* identify(fs: StepFs, file: OpenFile): Steps<TempSibling> {
  try {
    return { ...file, made: yield* fs.fstat(file) };
  } catch (cause) {
    yield* discardSibling(fs, file);
    throw cause;
  }
}

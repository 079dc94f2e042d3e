/**
 * Where the bytes of a publish come from. A source opens before anything is touched, so that a missing one
 * leaves no trace; then it pours itself into the sink, chunk by chunk.
 */

import { MisuseError } from "../base/errors.ts";
import { isPromiseLike, runAsync, runSync, settled, type Steps } from "../base/steps.ts";
import type { StepFs } from "../base/step_fs.ts";
import { orAbort, throwIfAborted } from "../base/abort.ts";
import { toBytes, type WriteData } from "./data.ts";
import { type InputFile, openInput, requireInput } from "./input_file.ts";
import type { SiblingSink } from "./temp_sibling.ts";

/** Bytes that can be had. */
export interface Source {
  /** All of them, where they are in memory: these are verified before anything is touched. */
  readonly inMemory?: Uint8Array;
  /** Finds out what can go wrong beforehand. Has no effect. */
  open(fs: StepFs): Steps<OpenSource>;
  /** Told once when the publish has ended, in whatever way, opened or not. Never throws. */
  release?(failure: unknown): void;
}

/** Bytes ready to flow. */
export interface OpenSource {
  /** How many there will be, when that is known; a hint. */
  readonly size: number | undefined;
  /** Writes them all. */
  pour(sink: SiblingSink, signal: AbortSignal | undefined): Steps<void>;
  /** Gives back what {@linkcode Source.open} opened. Never throws. */
  close(): Steps<void>;
}

/** Bytes in memory. */
export function bytesSource(bytes: Uint8Array): Source {
  const size = bytes.byteLength;
  return {
    inMemory: bytes,
    *open() {
      return {
        size,
        *pour(sink) {
          // A buffer that was transferred to another thread meanwhile reads as empty.
          if (bytes.byteLength !== size) {
            throw new MisuseError(
              `The data changed from ${size} to ${bytes.byteLength} bytes before it was written`,
            );
          }
          yield* sink.write(bytes);
        },
        *close() {},
      };
    },
  };
}

/** The content of one file. */
export function fileSource(path: string): Source {
  return {
    *open(fs) {
      const input = yield* openInput(fs, path);
      return {
        size: input.size,
        *pour(sink, signal) {
          if (!(yield* input.clone(sink))) yield* input.pour(sink, signal);
        },
        close: input.close,
      };
    },
  };
}

/** The contents of files, one after the other. Each is looked at beforehand and opened in its turn. */
export function filesSource(paths: readonly string[]): Source {
  return {
    *open(fs) {
      let size = 0;
      for (const path of paths) size += yield* requireInput(fs, path);
      let current: InputFile | undefined;
      return {
        size,
        *pour(sink, signal) {
          for (const path of paths) {
            current = yield* openInput(fs, path);
            yield* current.pour(sink, signal);
            yield* current.close();
            current = undefined;
          }
        },
        *close() {
          if (current !== undefined) yield* current.close();
        },
      };
    },
  };
}

/**
 * Where the callback of {@linkcode AtomicFile.writeWith} writes to.
 *
 * @example A writer of parts
 * ```ts
 * import { AtomicFile, type FileSink } from "@crashsafe/fs";
 * import { MemoryFs } from "@crashsafe/fs/testing";
 *
 * const lines = async (sink: FileSink): Promise<void> => {
 *   for (const line of ["one", "two"]) await sink.write(`${line}\n`);
 * };
 * await new AtomicFile("/file", { adapter: new MemoryFs() }).writeWith(lines);
 * ```
 */
export interface FileSink {
  /** Bytes written so far. */
  readonly bytes: number;
  /**
   * Writes all of `data`, which must not change until the promise resolves. Writes that are not
   * awaited are done in call order, and before the file is published.
   */
  write(data: WriteData): Promise<void>;
}

/**
 * Where the callback of {@linkcode AtomicFile.writeWithSync} writes to.
 *
 * @example A writer of parts
 * ```ts
 * import { AtomicFile, type FileSinkSync } from "@crashsafe/fs";
 * import { MemoryFs } from "@crashsafe/fs/testing";
 *
 * const lines = (sink: FileSinkSync): void => {
 *   for (const line of ["one", "two"]) sink.write(`${line}\n`);
 * };
 * new AtomicFile("/file", { adapter: new MemoryFs() }).writeWithSync(lines);
 * ```
 */
export interface FileSinkSync {
  /** Bytes written so far. */
  readonly bytes: number;
  /** Writes all of `data`. */
  write(data: WriteData): void;
}

/** What a callback writes into a sink. */
export function callbackSource(callback: (sink: FileSink) => unknown): Source {
  return {
    *open() {
      return {
        size: undefined,
        *pour(sink, signal) {
          const writer = new CallbackWriter(sink);
          let ended = false;
          try {
            yield* settled(orAbort(callAsync(callback, writer), signal));
            ended = true;
          } finally {
            // Also after a failure: the file must not be closed under a write in flight.
            yield* settled(writer.close(ended));
          }
          throwIfAborted(signal);
          writer.throwFailure();
        },
        *close() {},
      };
    },
  };
}

/** The synchronous twin of {@linkcode callbackSource}. */
export function callbackSourceSync(callback: (sink: FileSinkSync) => unknown): Source {
  return {
    *open() {
      return {
        size: undefined,
        *pour(sink) {
          let open = true;
          let failure: { readonly cause: unknown } | undefined;
          let result: unknown;
          try {
            result = callback({
              get bytes(): number {
                return sink.bytes;
              },
              write(data: WriteData): void {
                if (!open) throw new MisuseError("This sink is closed: its callback has ended");
                if (failure !== undefined) throw failure.cause;
                try {
                  runSync(sink.write(toBytes(data)));
                } catch (cause) {
                  failure = { cause };
                  throw cause;
                }
              },
            });
          } finally {
            // Also after a failure: the descriptor will be another file's.
            open = false;
          }
          if (isPromiseLike(result)) {
            // Whatever becomes of it: the misuse is what its caller will hear.
            result.then(undefined, () => {});
            throw new MisuseError(
              "The callback of writeWithSync returned a promise: use writeWith",
            );
          }
          // A callback may have caught it; the file has a hole all the same.
          if (failure !== undefined) throw failure.cause;
        },
        *close() {},
      };
    },
  };
}

/** Puts the writes of a callback in a row and remembers the first that failed. */
class CallbackWriter implements FileSink {
  readonly #sink: SiblingSink;
  #last: Promise<void> = Promise.resolve();
  #failure: { readonly cause: unknown } | undefined;
  #state: "open" | "ended" | "abandoned" = "open";

  constructor(sink: SiblingSink) {
    this.#sink = sink;
  }

  get bytes(): number {
    return this.#sink.bytes;
  }

  write(data: WriteData): Promise<void> {
    if (this.#state !== "open") {
      const late = Promise.reject(new MisuseError("This sink is closed: its callback has ended"));
      // A callback that was aborted goes on unknowing; its caller has been told. Any other late write is a bug.
      return this.#state === "abandoned" ? handled(late) : late;
    }
    let bytes: Uint8Array;
    try {
      bytes = toBytes(data);
    } catch (cause) {
      // The file would lack this piece, awaited or not.
      this.#failure ??= { cause };
      return handled(Promise.reject(cause));
    }
    const written = this.#last.then(() => {
      if (this.#failure !== undefined) throw this.#failure.cause;
      return runAsync(this.#sink.write(bytes));
    });
    // Reported by throwFailure(), also when the callback did not wait for this promise.
    this.#last = written.catch((cause) => {
      this.#failure ??= { cause };
    });
    return written;
  }

  /** Waits for what is in flight; takes no more. `ended`: the callback has come to its own end. */
  async close(ended: boolean): Promise<void> {
    this.#state = ended ? "ended" : "abandoned";
    await this.#last;
  }

  throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.cause;
  }
}

async function callAsync(
  callback: (sink: FileSink) => unknown,
  writer: CallbackWriter,
): Promise<void> {
  await callback({
    get bytes(): number {
      return writer.bytes;
    },
    write: (data) => writer.write(data),
  });
}

/** The same promise, whose rejection needs nobody else to hear it. */
function handled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}

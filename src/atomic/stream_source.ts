/**
 * Bytes that arrive in chunks. Whatever a program can read becomes one pull interface; the chunks are gathered in two
 * buffers of our own, one filling while the other is written. So a producer may reuse its chunk as soon as it is asked for the
 * next, thousands of small chunks cost few system calls, and memory stays bounded.
 *
 * Only an explicit end of the source is an end. A failure, an abort or a short body cancels the source and
 * publishes nothing.
 */

import { MisuseError, PublishError } from "../base/errors.ts";
import { nameOf } from "../base/paths.ts";
import type { StepFs } from "../base/step_fs.ts";
import { runAsync, settled, type Steps } from "../base/steps.ts";
import { isAbort, orAbort, throwIfAborted } from "../base/abort.ts";
import { toBytes } from "./data.ts";
import type { OpenSource, Source } from "./sources.ts";
import type { Sink } from "./temp_sibling.ts";

/**
 * What {@linkcode AtomicFile.stream} can read: chunks are bytes or strings.
 *
 * @example Whatever can be read
 * ```ts
 * import { AtomicFile, type StreamData } from "@crashsafe/fs";
 * import { MemoryFs } from "@crashsafe/fs/testing";
 *
 * const sources: StreamData[] = [new Response("a"), new Blob(["b"]), ["c", new Uint8Array([100])]];
 * for (const one of sources) await new AtomicFile("/file", { adapter: new MemoryFs() }).stream(one);
 * ```
 */
export type StreamData =
  | ReadableStream<unknown>
  | AsyncIterable<unknown>
  | Iterable<unknown>
  | Blob
  | Response;

/** Something to pull chunks from. */
interface Chunks {
  /** Bytes announced, which must arrive. */
  readonly size: number | undefined;
  next(): PromiseLike<IteratorResult<unknown>>;
  /** Tells the source that nobody will read on. Not called after its end or its own failure. */
  cancel(reason: unknown): unknown;
}

/** A source whose chunks any sink can take. */
export interface StreamSource extends Source {
  open(fs: StepFs): Steps<StreamChunks>;
}

/** Chunks ready to flow. */
export interface StreamChunks extends OpenSource {
  pour(sink: Sink, signal: AbortSignal | undefined): Steps<void>;
}

/** A source that is read asynchronously. `target` is for messages. Throws a TypeError for what cannot be read. */
export function streamSource(data: StreamData, target: string): StreamSource {
  // Taken at the call, so that a second reader fails where the mistake is.
  const chunks = pull(data, target);
  let finished = false;
  return {
    *open(fs) {
      return {
        size: chunks.size,
        *pour(sink: Sink, signal: AbortSignal | undefined) {
          const gathering = new Gathering(fs, sink);
          try {
            const arrived = yield* pourChunks(chunks, gathering, signal, () => {
              finished = true;
            });
            if (chunks.size !== undefined && arrived !== chunks.size) {
              throw shortBody(target, arrived, chunks.size);
            }
            yield* gathering.end();
          } finally {
            yield* gathering.settle();
          }
        },
        *close() {},
      };
    },
    release(failure) {
      if (!finished) cancelQuietly(chunks, failure);
      finished = true;
    },
  };
}

/** A source that is read synchronously. */
export function iterableSource(data: Iterable<unknown>): Source {
  requireIterable(data, "streamSync");
  return {
    *open(fs) {
      return {
        size: undefined,
        *pour(sink) {
          const gathering = new Gathering(fs, sink);
          for (const chunk of data) yield* gathering.add(chunkBytes(chunk));
          yield* gathering.end();
        },
        *close() {},
      };
    },
  };
}

/** Pulls until the end. `ended` hears when there is nothing left to cancel: the end, or the source's own failure. */
function* pourChunks(
  chunks: Chunks,
  gathering: Gathering,
  signal: AbortSignal | undefined,
  ended: () => void,
): Steps<number> {
  let arrived = 0;
  for (;;) {
    throwIfAborted(signal);
    const chunk = yield* nextChunk(chunks, signal, ended);
    if (chunk.done) break;
    const bytes = chunkBytes(chunk.value);
    arrived += bytes.byteLength;
    yield* gathering.add(bytes);
  }
  ended();
  return arrived;
}

function* nextChunk(
  chunks: Chunks,
  signal: AbortSignal | undefined,
  ended: () => void,
): Steps<IteratorResult<unknown>> {
  try {
    return yield* settled(orAbort(chunks.next(), signal));
  } catch (cause) {
    // A source that stalls is not at its end: it has to hear that nobody waits any more.
    if (!isAbort(signal, cause)) ended();
    throw cause;
  }
}

/**
 * Tells the source, and does not wait for a promise that a stalled source may never settle: an iterator's return()
 * queues behind the next() that is still pending.
 */
function cancelQuietly(chunks: Chunks, reason: unknown): void {
  try {
    Promise.resolve(chunks.cancel(reason)).catch(() => {});
  } catch {
    // The reason to cancel is what the caller will hear.
  }
}

/** Two buffers between the chunks of a source and the writes of a file. */
class Gathering {
  readonly #fs: StepFs;
  readonly #sink: Sink;
  #filling: Uint8Array = new Uint8Array(FIRST_BUFFER_BYTES);
  #filled = 0;
  #spare: Uint8Array | undefined;
  #writing: { readonly buffer: Uint8Array; readonly done: Promise<void> } | undefined;

  constructor(fs: StepFs, sink: Sink) {
    this.#fs = fs;
    this.#sink = sink;
  }

  /** Takes all of a chunk before it returns; the chunk may change afterwards. */
  *add(chunk: Uint8Array): Steps<void> {
    let rest = chunk;
    while (rest.byteLength > 0) {
      const part = rest.subarray(0, this.#filling.byteLength - this.#filled);
      this.#filling.set(part, this.#filled);
      this.#filled += part.byteLength;
      rest = rest.subarray(part.byteLength);
      if (this.#filled === this.#filling.byteLength) yield* this.#flush();
    }
  }

  /** Writes what is left and waits for everything. */
  *end(): Steps<void> {
    if (this.#filled > 0) yield* this.#flush();
    yield* this.#settled();
  }

  /** Waits for the write in flight, whatever becomes of it: its file is closed next. */
  *settle(): Steps<void> {
    try {
      yield* this.#settled();
    } catch {
      // Something failed before, and that is what the caller will hear.
    }
  }

  *#flush(): Steps<void> {
    const buffer = this.#filling;
    const bytes = buffer.subarray(0, this.#filled);
    if (this.#fs.colour === "sync") {
      yield* this.#sink.write(bytes);
    } else {
      yield* this.#settled();
      const done = runAsync(this.#sink.write(bytes));
      // Reported by whoever waits for it; until then a failure must not end the process.
      done.catch(() => {});
      this.#writing = { buffer, done };
      this.#filling = this.#spare ?? new Uint8Array(BUFFER_BYTES);
      this.#spare = undefined;
    }
    this.#filled = 0;
  }

  *#settled(): Steps<void> {
    if (this.#writing === undefined) return;
    const { buffer, done } = this.#writing;
    this.#writing = undefined;
    yield* settled(done);
    if (buffer.byteLength === BUFFER_BYTES) this.#spare = buffer;
  }
}

/** Small at first, so that a short stream does not pay for a long one. */
const FIRST_BUFFER_BYTES = 1 << 16;
const BUFFER_BYTES = 1 << 20;

function pull(data: StreamData, target: string): Chunks {
  if (data instanceof Response) return pullResponse(data, target);
  if (data instanceof Blob) return pullStream(data.stream(), data.size);
  if (data instanceof ReadableStream) return pullStream(data, undefined);
  if (isAsyncIterable(data)) {
    const iterator = data[Symbol.asyncIterator]();
    return {
      size: undefined,
      next: () => iterator.next(),
      cancel: () => iterator.return?.(),
    };
  }
  requireIterable(data, "stream");
  const iterator = data[Symbol.iterator]();
  return {
    size: undefined,
    next: async () => await Promise.resolve(iterator.next()),
    cancel: () => iterator.return?.(),
  };
}

function pullStream(stream: ReadableStream<unknown>, size: number | undefined): Chunks {
  if (stream.locked) throw new MisuseError("The stream is locked: somebody else is reading it");
  const reader = stream.getReader();
  return {
    size,
    next: () => reader.read() as Promise<IteratorResult<unknown>>,
    cancel: (reason) => reader.cancel(reason),
  };
}

function pullResponse(response: Response, target: string): Chunks {
  const { body, headers } = response;
  if (response.bodyUsed || body?.locked) {
    throw new MisuseError("The body of the response was read already");
  }
  if (!response.ok) {
    const refusal = refusedResponse(target, response);
    // The connection is given back: nobody will read this body.
    body?.cancel(refusal).catch(() => {});
    throw refusal;
  }
  const announced = headers.get("content-length");
  // A compressed body arrives decompressed: its length on the wire says nothing about it.
  const size = announced === null || headers.has("content-encoding")
    ? undefined
    : Number(announced);
  if (body === null) return { size, next: () => END, cancel: () => {} };
  return pullStream(body, Number.isSafeInteger(size) ? size : undefined);
}

const END: Promise<IteratorResult<unknown>> = Promise.resolve({ done: true, value: undefined });

function refusedResponse(target: string, { status, statusText, url }: Response): PublishError {
  const what = `the response${url === "" ? "" : ` of ${url}`} has status ${status} ${statusText}`;
  return new PublishError(
    `Cannot publish "${target}": ${what.trimEnd()}, wanted a success, nothing was touched`,
    { code: "BadResponse", operation: "open", path: target },
  );
}

function shortBody(target: string, arrived: number, announced: number): PublishError {
  return new PublishError(
    `Cannot publish "${target}": its source ended after ${arrived} bytes, ${announced} were announced, nothing was published`,
    { code: "UnexpectedEnd", operation: "read", path: target },
  );
}

function isAsyncIterable(data: unknown): data is AsyncIterable<unknown> {
  return typeof (data as AsyncIterable<unknown> | null)?.[Symbol.asyncIterator] === "function";
}

function requireIterable(data: unknown, terminal: string): asserts data is Iterable<unknown> {
  if (typeof data === "string" || data instanceof ArrayBuffer || ArrayBuffer.isView(data)) {
    throw new MisuseError(`${terminal} reads chunks; for bytes or text in memory there is write`);
  }
  if (typeof (data as Iterable<unknown> | null)?.[Symbol.iterator] !== "function") {
    throw new MisuseError(`${terminal} cannot read from ${nameOf(data)}`);
  }
}

function chunkBytes(chunk: unknown): Uint8Array {
  if (
    typeof chunk === "string" || ArrayBuffer.isView(chunk) || chunk instanceof ArrayBuffer
  ) return toBytes(chunk);
  throw new MisuseError(`A source yielded ${nameOf(chunk)}, wanted bytes or strings`);
}

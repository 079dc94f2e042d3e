/** A publish that is fed through a WritableStream: a source whose chunks are pushed instead of pulled. */

import type { FsAdapter } from "../base/fs_adapter.ts";
import type { ResolvedOptions } from "./options.ts";
import { publishAsync } from "./publish_call.ts";
import type { Receipt } from "./receipt.ts";
import { streamSource } from "./stream_source.ts";

/**
 * What {@linkcode AtomicFile.writable} gives.
 *
 * @example Pipe into it
 * ```ts
 * import { AtomicFile, type WritableFile } from "@crashsafe/fs";
 * import { MemoryFs } from "@crashsafe/fs/testing";
 *
 * const { writable, receipt }: WritableFile = new AtomicFile("/file", { adapter: new MemoryFs() }).writable();
 * await new Blob(["data"]).stream().pipeTo(writable);
 * console.log((await receipt).bytes); // 4
 * ```
 */
export interface WritableFile {
  /** Takes bytes and strings. Close publishes, abort discards. */
  readonly writable: WritableStream<unknown>;
  /** Resolves when the file is published; rejects when it was not, with the reason of an abort itself. */
  readonly receipt: Promise<Receipt>;
}

export function openWritable(
  adapter: FsAdapter,
  target: string,
  options: ResolvedOptions,
): WritableFile {
  const discarded = new AbortController();
  const signal = options.signal === undefined
    ? discarded.signal
    : AbortSignal.any([options.signal, discarded.signal]);
  const handover = new Handover();
  const receipt = publishAsync(adapter, {
    target,
    source: streamSource(handover, target),
    options: Object.freeze({ ...options, signal }),
  });
  const writable = new WritableStream<unknown>({
    start(controller) {
      // Whoever writes hears of a failed publish at once. The promise itself may be nobody's concern.
      receipt.catch((cause) => {
        handover.refuse(cause);
        controller.error(cause);
      });
    },
    write: (chunk) => handover.give(chunk),
    async close() {
      handover.end();
      await receipt;
    },
    async abort(reason) {
      discarded.abort(reason);
      // Resolves when the temporary file is gone; the reason itself is what `receipt` says.
      await receipt.catch(() => {});
    },
  });
  return { writable, receipt };
}

/** A chunk and the writer that waits for it. */
interface Offer {
  readonly chunk: unknown;
  readonly used: () => void;
  readonly refused: (cause: unknown) => void;
}

/** One chunk at a time from a writer to a reader; the writer waits until the chunk was used. */
class Handover implements AsyncIterableIterator<unknown> {
  #offered: Offer | undefined;
  #inUse: Offer | undefined;
  #wanted: ((result: IteratorResult<unknown>) => void) | undefined;
  #ended = false;
  #refused: { readonly cause: unknown } | undefined;

  [Symbol.asyncIterator](): AsyncIterableIterator<unknown> {
    return this;
  }

  /** Resolves when the chunk may be reused. */
  give(chunk: unknown): Promise<void> {
    if (this.#refused !== undefined) return Promise.reject(this.#refused.cause);
    return new Promise((used, refused) => {
      const offer: Offer = { chunk, used, refused };
      if (this.#wanted === undefined) {
        this.#offered = offer;
        return;
      }
      this.#inUse = offer;
      this.#wanted({ done: false, value: chunk });
      this.#wanted = undefined;
    });
  }

  end(): void {
    this.#ended = true;
    this.#wanted?.({ done: true, value: undefined });
    this.#wanted = undefined;
  }

  /** The publish failed: nobody will ask for another chunk. */
  refuse(cause: unknown): void {
    this.#refused = { cause };
    this.#inUse?.refused(cause);
    this.#offered?.refused(cause);
  }

  /** Asking for the next chunk says that the last one was used. */
  next(): Promise<IteratorResult<unknown>> {
    this.#inUse?.used();
    this.#inUse = this.#offered;
    this.#offered = undefined;
    if (this.#inUse !== undefined) {
      return Promise.resolve({ done: false, value: this.#inUse.chunk });
    }
    if (this.#ended) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve) => {
      this.#wanted = resolve;
    });
  }
}

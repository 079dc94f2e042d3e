/** Bytes and text as callers bring them. */

import { MisuseError } from "../base/errors.ts";
import { nameOf } from "../base/paths.ts";

/**
 * What can be written: text (as UTF-8), or bytes, which must not change until the write is done.
 *
 * @example Text, bytes, any view
 * ```ts
 * import { atomicWriteSync, type WriteData } from "@crashsafe/fs";
 * import { MemoryFs } from "@crashsafe/fs/testing";
 *
 * const all: WriteData[] = ["text", new Uint8Array([1, 2]), new DataView(new ArrayBuffer(4))];
 * for (const data of all) console.log(atomicWriteSync("/file", data, { adapter: new MemoryFs() }).bytes); // 4 2 4
 * ```
 */
export type WriteData = string | ArrayBuffer | ArrayBufferView;

/** The bytes of what a caller wants written. Text is taken as it is now; bytes are not copied. */
export function toBytes(data: WriteData): Uint8Array {
  if (typeof data === "string") {
    // UTF-8 cannot hold a lone surrogate; an encoder would silently put U+FFFD in its place.
    if (!data.isWellFormed()) throw new MisuseError("Text with a lone surrogate has no UTF-8 form");
    return encoder.encode(data);
  }
  if (data instanceof Uint8Array) return data;
  if (ArrayBuffer.isView(data)) {
    return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  }
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  throw new MisuseError(
    `Data must be a string, an ArrayBuffer or a view of one, not ${nameOf(data)}`,
  );
}

const encoder = new TextEncoder();

/** The shortest way to an atomic write. */

import { chooseAdapter } from "../base/default_adapter.ts";
import { absoluteFilePath } from "../base/paths.ts";
import { toBytes, type WriteData } from "./data.ts";
import { type AtomicWriteOptions, resolveOptions } from "./options.ts";
import { publishAsync, publishSync } from "./publish_call.ts";
import type { Receipt } from "./receipt.ts";
import { bytesSource } from "./sources.ts";

/**
 * Replaces a file all or nothing: after a crash at any moment it holds the old content or the new, never a mixture, and once
 * the promise has resolved the new content survives a power cut. The parent directory must exist.
 *
 * Calls for the same path take turns in call order.
 *
 * @param path The file to publish; a relative path is made absolute now.
 * @param data Text (as UTF-8) or bytes, which must not change until the promise resolves.
 * @param options What to keep, what to verify, how durable to be.
 * @returns What was achieved.
 * @throws {TypeError} For misuse: nothing was touched.
 * @throws {UnsupportedError} For what cannot be done here: nothing was touched.
 * @throws {PublishError} Nothing was published, the old file is as it was; `code` says why.
 * @throws {HashMismatchError} The data has another digest: nothing was touched.
 * @throws {DurabilityUnknownError} The new content is in place, but making it durable failed.
 *
 * @example Save the state of a program
 * ```ts
 * import { atomicWrite } from "@crashsafe/fs";
 * import { mkdtempSync, readFileSync, rmSync } from "node:fs";
 *
 * const dir = mkdtempSync("example-");
 * await atomicWrite(`${dir}/state.json`, JSON.stringify({ visits: 42 }));
 * console.log(readFileSync(`${dir}/state.json`, "utf8"));
 * rmSync(dir, { recursive: true });
 * ```
 */
export async function atomicWrite(
  path: string | URL,
  data: WriteData,
  options: AtomicWriteOptions = {},
): Promise<Receipt> {
  const resolved = resolveOptions(options, "require");
  const adapter = chooseAdapter(options.adapter);
  const target = absoluteFilePath(path, adapter);
  return await publishAsync(adapter, {
    target,
    source: bytesSource(toBytes(data)),
    options: resolved,
  });
}

/**
 * {@linkcode atomicWrite}, done when it returns. It never waits: asynchronous writes of the same
 * path that have not committed yet are overtaken, and resolve with this call's receipt.
 *
 * @param path The file to publish; a relative path is made absolute now.
 * @param data Text (as UTF-8) or bytes.
 * @param options What to keep, what to verify, how durable to be.
 * @returns What was achieved.
 * @throws {PublishError} And all others of {@linkcode atomicWrite}.
 *
 * @example Write before the process ends
 * ```ts
 * import { atomicWriteSync } from "@crashsafe/fs";
 * import { mkdtempSync, rmSync } from "node:fs";
 *
 * const dir = mkdtempSync("example-");
 * const receipt = atomicWriteSync(`${dir}/last-words.txt`, "done\n", { mode: 0o600 });
 * console.log(receipt.bytes, receipt.durability);
 * rmSync(dir, { recursive: true });
 * ```
 */
export function atomicWriteSync(
  path: string | URL,
  data: WriteData,
  options: AtomicWriteOptions = {},
): Receipt {
  const resolved = resolveOptions(options, "require");
  const adapter = chooseAdapter(options.adapter);
  const target = absoluteFilePath(path, adapter);
  return publishSync(adapter, { target, source: bytesSource(toBytes(data)), options: resolved });
}

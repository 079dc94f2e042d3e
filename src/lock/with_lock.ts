import { FileLock } from "./file_lock.ts";
import type { LockOptions } from "./options.ts";

/**
 * Calls a function while a `FileLock` is held.
 *
 * @param path The lock file. Its directory must exist.
 * @param fn What to do. The lock is released when its promise has settled.
 * @param options Shared or exclusive, how long to wait, what ends the waiting.
 * @returns What the function answers.
 * @throws What `FileLock.acquire` throws, or the function.
 *
 * @example A counter that several processes share
 * ```ts
 * import { atomicWrite, withLock } from "@crashsafe/fs";
 * import { readFileSync, rmSync, writeFileSync } from "node:fs";
 *
 * writeFileSync("counter", "0");
 * await withLock("counter.lock", async () => {
 *   await atomicWrite("counter", String(Number(readFileSync("counter", "utf8")) + 1));
 * });
 * for (const file of ["counter", "counter.lock"]) rmSync(file);
 * ```
 */
export async function withLock<T>(
  path: string | URL,
  fn: (lock: FileLock) => T | PromiseLike<T>,
  options: LockOptions = {},
): Promise<T> {
  const lock = await FileLock.acquire(path, options);
  try {
    return await fn(lock);
  } finally {
    await lock.release();
  }
}

/**
 * Calls a function while a `FileLock` is held, at once.
 *
 * @param path The lock file. Its directory must exist.
 * @param fn What to do.
 * @param options Shared or exclusive, and how long to wait.
 * @returns What the function answers.
 * @throws What `FileLock.acquireSync` throws, or the function.
 *
 * @example Append to a file that several processes share
 * ```ts
 * import { withLockSync } from "@crashsafe/fs";
 * import { appendFileSync, rmSync } from "node:fs";
 *
 * withLockSync("log.lock", () => appendFileSync("log", "one line\n"));
 * for (const file of ["log", "log.lock"]) rmSync(file);
 * ```
 */
export function withLockSync<T>(
  path: string | URL,
  fn: (lock: FileLock) => T,
  options: LockOptions = {},
): T {
  const lock = FileLock.acquireSync(path, options);
  try {
    return fn(lock);
  } finally {
    lock.releaseSync();
  }
}

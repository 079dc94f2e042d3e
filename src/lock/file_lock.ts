import { absoluteFilePath } from "../base/paths.ts";
import { StepFs } from "../base/step_fs.ts";
import { runAsync, runSync } from "../base/steps.ts";
import { acquire, tryAcquire } from "./acquire.ts";
import { HeldLock } from "./held_lock.ts";
import { type LockOptions, resolveLockOptions, type TryLockOptions } from "./options.ts";

/**
 * An advisory lock on a file of your choosing: flock(2), the same lock for Deno, Bun, Node, flock(1), Python's `fcntl.flock`, and
 * everything else that uses it. The kernel frees it when the process ends, however it ends.
 *
 * The file is made when it is missing (0666 and the umask), never truncated, never deleted, and never opened through a symbolic link. One that
 * may only be read can be locked as well. Use a file that is for locking only: a file that is replaced by a rename (any published
 * file) has a new inode, and with it a new lock.
 *
 * Two locks exclude each other within one process, too; a lock is not reentrant, and a shared one is never upgraded in place. Limits: the
 * lock of fcntl(2) is another one (SQLite, podman); on NFS flock(2) is emulated by it and works between processes only; many readers can keep
 * a writer waiting; a Bun worker that is terminated keeps its lock until the process ends.
 *
 * @example One at a time
 * ```ts
 * import { FileLock } from "@crashsafe/fs";
 * import { rmSync } from "node:fs";
 *
 * const lock = await FileLock.acquire("example.lock", { timeoutMs: 5_000 });
 * try {
 *   // Nobody else is here.
 * } finally {
 *   await lock.release();
 * }
 * rmSync("example.lock");
 * ```
 */
export class FileLock extends HeldLock {
  /**
   * Waits for the lock. Waiters of one thread get it in their order.
   *
   * @param path The lock file. Its directory must exist.
   * @param options Shared or exclusive, how long to wait, what ends the waiting.
   * @returns The lock, held.
   * @throws {LockHeldError} When the time is over. Nothing is held.
   * @throws {UnsupportedError} When this runtime has no flock(2) here.
   * @throws {CrashSafeError} When the file cannot be opened or locked (`ENOENT`, `EACCES`, `ELOOP`, `ENOLCK`, …).
   * @throws The reason of `signal` itself.
   *
   * @example Give up when the user does
   * ```ts
   * import { FileLock } from "@crashsafe/fs";
   * import { rmSync } from "node:fs";
   *
   * const lock = await FileLock.acquire("example.lock", { signal: AbortSignal.timeout(10_000) });
   * await lock.release();
   * rmSync("example.lock");
   * ```
   */
  static async acquire(path: string | URL, options: LockOptions = {}): Promise<FileLock> {
    const o = resolveLockOptions(options, String(path));
    const place = { path: absoluteFilePath(path, o.adapter), createParents: false };
    const held = await runAsync(acquire(new StepFs(o.adapter, "async"), place, o));
    return new FileLock(o.adapter, held);
  }

  /**
   * Waits for the lock and blocks the thread meanwhile.
   *
   * @param path The lock file. Its directory must exist.
   * @param options Shared or exclusive, and how long to wait.
   * @returns The lock, held.
   * @throws {LockHeldError} When the time is over; with code `WouldDeadlock`, at once, when this very thread holds it.
   *
   * @example Lock in a script
   * ```ts
   * import { FileLock } from "@crashsafe/fs";
   * import { rmSync } from "node:fs";
   *
   * const lock = FileLock.acquireSync("example.lock");
   * lock.releaseSync();
   * rmSync("example.lock");
   * ```
   */
  static acquireSync(path: string | URL, options: LockOptions = {}): FileLock {
    const o = resolveLockOptions(options, String(path));
    const place = { path: absoluteFilePath(path, o.adapter), createParents: false };
    return new FileLock(o.adapter, runSync(acquire(new StepFs(o.adapter, "sync"), place, o)));
  }

  /**
   * Takes the lock if it is free.
   *
   * @param path The lock file. Its directory must exist.
   * @param options Shared or exclusive.
   * @returns The lock, or null when somebody else holds it. Every other failure is thrown.
   *
   * @example Only one instance
   * ```ts
   * import { FileLock } from "@crashsafe/fs";
   * import { rmSync } from "node:fs";
   *
   * const lock = await FileLock.tryAcquire("instance.lock", { holder: "example, since noon" });
   * if (lock === null) console.error("It runs already");
   * await lock?.release();
   * rmSync("instance.lock");
   * ```
   */
  static async tryAcquire(
    path: string | URL,
    options: TryLockOptions = {},
  ): Promise<FileLock | null> {
    const o = resolveLockOptions(options, String(path));
    const place = { path: absoluteFilePath(path, o.adapter), createParents: false };
    const held = await runAsync(tryAcquire(new StepFs(o.adapter, "async"), place, o));
    return held === undefined ? null : new FileLock(o.adapter, held);
  }

  /**
   * Takes the lock if it is free, at once.
   *
   * @param path The lock file. Its directory must exist.
   * @param options Shared or exclusive.
   * @returns The lock, or null when somebody else holds it. Every other failure is thrown.
   *
   * @example Look whether it is free
   * ```ts
   * import { FileLock } from "@crashsafe/fs";
   * import { rmSync } from "node:fs";
   *
   * FileLock.tryAcquireSync("example.lock", { shared: true })?.releaseSync();
   * rmSync("example.lock");
   * ```
   */
  static tryAcquireSync(path: string | URL, options: TryLockOptions = {}): FileLock | null {
    const o = resolveLockOptions(options, String(path));
    const place = { path: absoluteFilePath(path, o.adapter), createParents: false };
    const held = runSync(tryAcquire(new StepFs(o.adapter, "sync"), place, o));
    return held === undefined ? null : new FileLock(o.adapter, held);
  }
}

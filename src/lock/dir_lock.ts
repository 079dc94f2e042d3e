import { basename } from "node:path";
import { MisuseError } from "../base/errors.ts";
import type { FsAdapter } from "../base/fs_adapter.ts";
import { absolutePath } from "../base/paths.ts";
import { StepFs } from "../base/step_fs.ts";
import { runAsync, runSync } from "../base/steps.ts";
import { acquire, tryAcquire } from "./acquire.ts";
import { HeldLock } from "./held_lock.ts";
import type { LockPlace } from "./lock_file.ts";
import { type LockOptions, resolveLockOptions, type TryLockOptions } from "./options.ts";

/**
 * How to lock a directory when nobody waits.
 *
 * @example As a reader
 * ```ts
 * import { type TryDirLockOptions } from "@crashsafe/fs";
 *
 * const options: TryDirLockOptions = { shared: true };
 * console.log(options.shared);
 * ```
 */
export interface TryDirLockOptions extends TryLockOptions {
  /** The name of the lock file in the directory. @default ".crashsafe.lock" */
  readonly lockName?: string;
}

/**
 * How to lock a directory.
 *
 * @example A name that others use
 * ```ts
 * import { type DirLockOptions } from "@crashsafe/fs";
 *
 * const options: DirLockOptions = { lockName: ".my-lock", timeoutMs: 1000 };
 * console.log(options.lockName);
 * ```
 */
export interface DirLockOptions extends LockOptions {
  /** The name of the lock file in the directory. @default ".crashsafe.lock" */
  readonly lockName?: string;
}

/**
 * An advisory lock on a directory: a `FileLock` on a file in it. The directory is made when it is missing. The lock file stays: whoever removed it
 * would let two holders in.
 *
 * @example Own a data directory
 * ```ts
 * import { DirLock } from "@crashsafe/fs";
 * import { rmSync } from "node:fs";
 *
 * const lock = await DirLock.acquire("example-data");
 * console.log(lock.path); // …/example-data/.crashsafe.lock
 * await lock.release();
 * rmSync("example-data", { recursive: true });
 * ```
 */
export class DirLock extends HeldLock {
  /** The directory, absolute. */
  readonly directory: string;

  private constructor(adapter: FsAdapter, held: unknown, directory: string) {
    super(adapter, held);
    this.directory = directory;
  }

  /**
   * Waits for the lock.
   *
   * @param dir The directory; made when it is missing.
   * @param options As for `FileLock.acquire`, and the name of the lock file.
   * @returns The lock, held.
   * @throws {LockHeldError} When the time is over. Nothing is held.
   * @throws {UnsupportedError} When this runtime has no flock(2) here.
   * @throws {CrashSafeError} When the file cannot be opened or locked.
   *
   * @example Read together, write alone
   * ```ts
   * import { DirLock } from "@crashsafe/fs";
   * import { rmSync } from "node:fs";
   *
   * const reading = await DirLock.acquire("example-data", { shared: true });
   * await reading.release();
   * rmSync("example-data", { recursive: true });
   * ```
   */
  static async acquire(dir: string | URL, options: DirLockOptions = {}): Promise<DirLock> {
    const o = resolveLockOptions(options, String(dir));
    const [directory, place] = placeOf(dir, options, o.adapter);
    const held = await runAsync(acquire(new StepFs(o.adapter, "async"), place, o));
    return new DirLock(o.adapter, held, directory);
  }

  /**
   * Waits for the lock and blocks the thread meanwhile.
   *
   * @param dir The directory; made when it is missing.
   * @param options As for `FileLock.acquireSync`, and the name of the lock file.
   * @returns The lock, held.
   * @throws {LockHeldError} When the time is over; with code `WouldDeadlock`, at once, when this very thread holds it.
   *
   * @example Lock in a script
   * ```ts
   * import { DirLock } from "@crashsafe/fs";
   * import { rmSync } from "node:fs";
   *
   * DirLock.acquireSync("example-data").releaseSync();
   * rmSync("example-data", { recursive: true });
   * ```
   */
  static acquireSync(dir: string | URL, options: DirLockOptions = {}): DirLock {
    const o = resolveLockOptions(options, String(dir));
    const [directory, place] = placeOf(dir, options, o.adapter);
    const held = runSync(acquire(new StepFs(o.adapter, "sync"), place, o));
    return new DirLock(o.adapter, held, directory);
  }

  /**
   * Takes the lock if it is free.
   *
   * @param dir The directory; made when it is missing.
   * @param options As for `FileLock.tryAcquire`, and the name of the lock file.
   * @returns The lock, or null when somebody else holds it. Every other failure is thrown.
   *
   * @example Leave a directory that is in use alone
   * ```ts
   * import { DirLock } from "@crashsafe/fs";
   * import { rmSync } from "node:fs";
   *
   * const lock = await DirLock.tryAcquire("example-data");
   * if (lock !== null) await lock.release();
   * rmSync("example-data", { recursive: true });
   * ```
   */
  static async tryAcquire(
    dir: string | URL,
    options: TryDirLockOptions = {},
  ): Promise<DirLock | null> {
    const o = resolveLockOptions(options, String(dir));
    const [directory, place] = placeOf(dir, options, o.adapter);
    const held = await runAsync(tryAcquire(new StepFs(o.adapter, "async"), place, o));
    return held === undefined ? null : new DirLock(o.adapter, held, directory);
  }

  /**
   * Takes the lock if it is free, at once.
   *
   * @param dir The directory; made when it is missing.
   * @param options As for `FileLock.tryAcquireSync`, and the name of the lock file.
   * @returns The lock, or null when somebody else holds it. Every other failure is thrown.
   *
   * @example Look whether it is free
   * ```ts
   * import { DirLock } from "@crashsafe/fs";
   * import { rmSync } from "node:fs";
   *
   * DirLock.tryAcquireSync("example-data")?.releaseSync();
   * rmSync("example-data", { recursive: true });
   * ```
   */
  static tryAcquireSync(dir: string | URL, options: TryDirLockOptions = {}): DirLock | null {
    const o = resolveLockOptions(options, String(dir));
    const [directory, place] = placeOf(dir, options, o.adapter);
    const held = runSync(tryAcquire(new StepFs(o.adapter, "sync"), place, o));
    return held === undefined ? null : new DirLock(o.adapter, held, directory);
  }
}

function placeOf(
  dir: string | URL,
  { lockName = ".crashsafe.lock" }: TryDirLockOptions,
  adapter: FsAdapter,
): readonly [directory: string, place: LockPlace] {
  const directory = absolutePath(dir, adapter);
  const plain = typeof lockName === "string" && lockName !== "" && lockName !== "." &&
    lockName !== ".." && basename(lockName) === lockName && !lockName.includes("\0");
  if (!plain) {
    throw new MisuseError(`lockName must be the name of a file, not ${JSON.stringify(lockName)}`);
  }
  const path = directory.endsWith("/") ? directory + lockName : `${directory}/${lockName}`;
  return [directory, { path, createParents: true }];
}

/**
 * Updating a file as git does: `<resource>.lock` is made exclusively, filled with the new content, and renamed over the resource. The file is the lock and
 * the new content at once, for every program that keeps to it. Its name is chosen by the protocol, so nobody can tell a dead owner's from
 * a living one's: a process killed by SIGKILL leaves it, and somebody has to remove it by hand, as in git.
 */

import { chooseAdapter } from "../base/default_adapter.ts";
import { throwIfAborted } from "../base/abort.ts";
import { LockHeldError, MisuseError } from "../base/errors.ts";
import { isSymlink } from "../base/file_types.ts";
import type { FsAdapter } from "../base/fs_adapter.ts";
import { absoluteFilePath, linkDestination } from "../base/paths.ts";
import { failedWith, StepFs } from "../base/step_fs.ts";
import { runAsync, runSync, type Steps } from "../base/steps.ts";
import { toBytes, type WriteData } from "../atomic/data.ts";
import {
  type Durability,
  requireCapabilities,
  type ResolvedOptions,
  resolveOptions,
} from "../atomic/options.ts";
import { requireSignal } from "../base/abort.ts";
import type { Receipt } from "../atomic/receipt.ts";
import { createAt } from "./create_temp.ts";
import { withHandle } from "./persist_error.ts";
import { TempCore } from "./temp_core.ts";
import { type ResolvedTempOptions, resolveTempOptions } from "./temp_options.ts";

/**
 * How to lock a resource for an update.
 *
 * @example Wait half a second
 * ```ts
 * import { type LockedUpdateOptions } from "@crashsafe/fs";
 *
 * const options: LockedUpdateOptions = { timeoutMs: 500, mode: 0o644 };
 * console.log(options.timeoutMs);
 * ```
 */
export interface LockedUpdateOptions {
  /** How long to try, in milliseconds; 0 tries once. @default 0 */
  readonly timeoutMs?: number;
  /** Make missing directories, and remove those that are empty afterwards, up to this one. @default directories must exist */
  readonly boundaryDirectory?: string | URL;
  /** Permission bits of a new resource, before the umask; an existing one keeps its own. @default 0o666 */
  readonly mode?: number;
  /** What has to survive what, when it is committed. @default "full" */
  readonly durability?: Durability;
  /** Ends the waiting with its own reason. */
  readonly signal?: AbortSignal;
  /** The file system. @default the runtime's own */
  readonly adapter?: FsAdapter;
}

/** What stands behind each lock that is not used up. */
const locks = new WeakMap<ResourceLock, Locked>();

interface Locked {
  readonly core: TempCore;
  readonly options: ResolvedOptions;
  /** What the lock is for, behind symbolic links. */
  readonly resource: string;
  /** Whether there was something to commit, ever. */
  readonly committable: boolean;
}

/**
 * What both kinds of such a lock have in common.
 *
 * @example Of either kind
 * ```ts
 * import { LockedUpdate, LockMarker, type ResourceLock } from "@crashsafe/fs";
 *
 * const locks: ResourceLock[] = [LockedUpdate.acquireSync("example-a"), LockMarker.acquireSync("example-b")];
 * for (const lock of locks) lock.disposeSync();
 * ```
 */
export abstract class ResourceLock {
  /** What is locked, absolute, behind symbolic links. */
  readonly resource: string;
  /** The lock file: the resource's name with `.lock`. */
  readonly path: string;

  /** Made by `acquire`. */
  protected constructor(locked: unknown) {
    const { resource, core } = locked as Locked;
    this.resource = resource;
    this.path = core.path;
    locks.set(this, locked as Locked);
  }

  /**
   * Renames the lock file over the resource: the update is there, durable, and the lock is free. Ends the handle.
   *
   * @returns What was achieved.
   * @throws {PersistError} Nothing was published, and the lock is still held; the error has the handle.
   * @throws {TypeError} For a marker that never was a file to write to.
   */
  async commit(): Promise<Receipt> {
    const { core, options, resource } = committableOf(this);
    try {
      return await runAsync(core.persist(new StepFs(core.adapter, "async"), resource, options));
    } catch (cause) {
      throw withHandle(cause, this);
    }
  }

  /**
   * {@linkcode ResourceLock.commit}, done when it returns.
   *
   * @returns What was achieved.
   */
  commitSync(): Receipt {
    const { core, options, resource } = committableOf(this);
    try {
      return runSync(core.persist(new StepFs(core.adapter, "sync"), resource, options));
    } catch (cause) {
      throw withHandle(cause, this);
    }
  }

  /** Rolls back: the resource stays as it is and the lock is free. A second call does nothing. */
  async dispose(): Promise<void> {
    const core = locks.get(this)?.core;
    if (core !== undefined) await runAsync(core.dispose(new StepFs(core.adapter, "async")));
  }

  /** {@linkcode ResourceLock.dispose}, done when it returns. */
  disposeSync(): void {
    const core = locks.get(this)?.core;
    if (core !== undefined) runSync(core.dispose(new StepFs(core.adapter, "sync")));
  }

  /** Rolls back, for `using`. */
  [Symbol.dispose](): void {
    this.disposeSync();
  }

  /** Rolls back, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }
}

/**
 * A resource that is locked to be replaced: what is written goes into the lock file, which `commit` renames over the resource.
 *
 * @example Update a file that git could be updating
 * ```ts
 * import { LockedUpdate } from "@crashsafe/fs";
 * import { readFileSync, rmSync } from "node:fs";
 *
 * const update = await LockedUpdate.acquire("example-config", { timeoutMs: 1000 });
 * await update.write("[core]\n");
 * await update.commit();
 * console.log(readFileSync("example-config", "utf8"));
 * rmSync("example-config");
 * ```
 */
export class LockedUpdate extends ResourceLock {
  private constructor(locked: Locked) {
    super(locked);
  }

  /**
   * Locks a resource, which need not exist.
   *
   * @param resource The file to be replaced; what a symbolic link leads to is meant, as in git.
   * @param options How long to wait, and how to commit.
   * @returns The lock.
   * @throws {LockHeldError} Somebody holds it, or held it when it was killed: then the lock file has to be removed by hand.
   * @throws {CrashSafeError} With the errno: nothing was made.
   *
   * @example Do not wait
   * ```ts
   * import { LockedUpdate } from "@crashsafe/fs";
   *
   * const update = await LockedUpdate.acquire("example-config");
   * await update.dispose(); // rolled back
   * ```
   */
  static async acquire(
    resource: string | URL,
    options: LockedUpdateOptions = {},
  ): Promise<LockedUpdate> {
    return new LockedUpdate(await runAsync(acquire("async", resource, options, true)));
  }

  /**
   * {@linkcode LockedUpdate.acquire}, done when it returns; waiting blocks the thread.
   *
   * @param resource The file to be replaced.
   * @param options How long to wait, and how to commit.
   * @returns The lock.
   *
   * @example Update in a script
   * ```ts
   * import { LockedUpdate } from "@crashsafe/fs";
   * import { rmSync } from "node:fs";
   *
   * const update = LockedUpdate.acquireSync("example-config");
   * update.writeSync("content");
   * update.commitSync();
   * rmSync("example-config");
   * ```
   */
  static acquireSync(resource: string | URL, options: LockedUpdateOptions = {}): LockedUpdate {
    return new LockedUpdate(runSync(acquire("sync", resource, options, true)));
  }

  /**
   * Writes all of the data behind what was written before.
   *
   * @param data Text (as UTF-8) or bytes, which must not change until the promise resolves.
   */
  async write(data: WriteData): Promise<void> {
    const { core } = lockedOf(this);
    await runAsync(core.write(new StepFs(core.adapter, "async"), toBytes(data)));
  }

  /**
   * {@linkcode LockedUpdate.write}, done when it returns.
   *
   * @param data Text (as UTF-8) or bytes.
   */
  writeSync(data: WriteData): void {
    const { core } = lockedOf(this);
    runSync(core.write(new StepFs(core.adapter, "sync"), toBytes(data)));
  }

  /**
   * Ends the writing and keeps the lock. This handle is used up; the one answered can commit.
   *
   * @returns The lock, closed.
   */
  async close(): Promise<LockMarker> {
    const locked = lockedOf(this);
    await runAsync(locked.core.close(new StepFs(locked.core.adapter, "async")));
    locks.delete(this);
    return LockMarker.of(locked);
  }

  /**
   * {@linkcode LockedUpdate.close}, done when it returns.
   *
   * @returns The lock, closed.
   */
  closeSync(): LockMarker {
    const locked = lockedOf(this);
    runSync(locked.core.close(new StepFs(locked.core.adapter, "sync")));
    locks.delete(this);
    return LockMarker.of(locked);
  }
}

/**
 * A lock on a resource without a file to write to: a closed update, which can be committed, or a pure marker, which cannot.
 *
 * @example Keep others away without writing
 * ```ts
 * import { LockMarker } from "@crashsafe/fs";
 *
 * await using marker = await LockMarker.acquire("example-resource");
 * console.log(marker.resource.endsWith("example-resource")); // true
 * ```
 */
export class LockMarker extends ResourceLock {
  private constructor(locked: Locked) {
    super(locked);
  }

  /**
   * Locks a resource that is changed in another way, or not at all.
   *
   * @param resource The file meant; what a symbolic link leads to.
   * @param options How long to wait.
   * @returns The lock.
   * @throws {LockHeldError} As `LockedUpdate.acquire`.
   *
   * @example Keep git away
   * ```ts
   * import { LockMarker } from "@crashsafe/fs";
   *
   * const marker = await LockMarker.acquire("example-config");
   * await marker.dispose();
   * ```
   */
  static async acquire(
    resource: string | URL,
    options: LockedUpdateOptions = {},
  ): Promise<LockMarker> {
    const locked = await runAsync(acquire("async", resource, options, false));
    await runAsync(locked.core.close(new StepFs(locked.core.adapter, "async")));
    return new LockMarker(locked);
  }

  /**
   * {@linkcode LockMarker.acquire}, done when it returns; waiting blocks the thread.
   *
   * @param resource The file meant.
   * @param options How long to wait.
   * @returns The lock.
   *
   * @example Keep git away
   * ```ts
   * import { LockMarker } from "@crashsafe/fs";
   *
   * LockMarker.acquireSync("example-config").disposeSync();
   * ```
   */
  static acquireSync(resource: string | URL, options: LockedUpdateOptions = {}): LockMarker {
    const locked = runSync(acquire("sync", resource, options, false));
    runSync(locked.core.close(new StepFs(locked.core.adapter, "sync")));
    return new LockMarker(locked);
  }

  /** @ignore Used by {@linkcode LockedUpdate.close}. */
  static of(locked: unknown): LockMarker {
    return new LockMarker(locked as Locked);
  }
}

function lockedOf(lock: ResourceLock): Locked {
  const locked = locks.get(lock);
  if (locked !== undefined) return locked;
  throw new MisuseError(`"${lock.path}" was closed: use the LockMarker that close() answered`);
}

function committableOf(lock: ResourceLock): Locked {
  const locked = lockedOf(lock);
  if (locked.committable) return locked;
  throw new MisuseError(
    `Cannot commit "${lock.path}": refusing to commit marker that was never opened`,
  );
}

function* acquire(
  colour: "sync" | "async",
  resource: string | URL,
  options: LockedUpdateOptions,
  committable: boolean,
): Steps<Locked> {
  const adapter = chooseAdapter(options.adapter);
  const { timeoutMs = 0, boundaryDirectory, mode = 0o666, durability, signal } = options;
  if (typeof timeoutMs !== "number" || !(timeoutMs >= 0)) {
    throw new MisuseError(`timeoutMs must be a number of at least 0, not ${String(timeoutMs)}`);
  }
  requireSignal(signal);
  throwIfAborted(signal);
  const fs = new StepFs(adapter, colour);
  const { path: target, exists } = yield* behindLinks(fs, absoluteFilePath(resource, adapter));
  const resolved = resolveOptions(
    { ...(durability && { durability }), symlink: "replace" },
    "require",
  );
  if (committable) requireCapabilities(adapter, target, resolved);
  const temp = resolveTempOptions({
    adapter,
    // Nobody may read the new content who may not read the old.
    mode: exists ? mode & 0o600 : mode,
    ...(boundaryDirectory === undefined ? {} : {
      containingDirectory: "create",
      autoRemove: { emptyParentsUntil: boundaryDirectory },
    }),
  }, `${target}.lock`);
  const core = yield* obtain(fs, target, temp, timeoutMs, signal);
  return { core, options: resolved, resource: target, committable };
}

/** Tries, with pauses of 1, 4, 9, … ms up to a second, each a quarter more or less, and once more when the time is over. */
function* obtain(
  fs: StepFs,
  resource: string,
  o: ResolvedTempOptions,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Steps<TempCore> {
  const start = fs.now();
  for (let attempt = 1, last = timeoutMs === 0;; attempt++) {
    try {
      return new TempCore(fs, yield* createAt(fs, `${resource}.lock`, o));
    } catch (cause) {
      if (!failedWith(cause, "EEXIST")) throw cause;
      if (last) throw heldError(resource, timeoutMs, attempt, fs.now() - start, cause);
    }
    const jitter = 0.75 + Math.random() / 2;
    const pause = Math.min(attempt ** 2, LONGEST_PAUSE_MS) * jitter;
    const left = timeoutMs - (fs.now() - start);
    last = pause >= left;
    yield* fs.sleep(Math.max(Math.min(pause, left), 0));
    throwIfAborted(fs.colour === "async" ? signal : undefined);
  }
}

const LONGEST_PAUSE_MS = 1000;

function heldError(
  resource: string,
  timeoutMs: number,
  attempts: number,
  waitedMs: number,
  cause: unknown,
): LockHeldError {
  const when = timeoutMs === 0 ? "immediately" : `after ${(timeoutMs / 1000).toFixed(2)}s`;
  const path = `${resource}.lock`;
  return new LockHeldError(
    `The lock for resource '${resource}' could not be obtained ${when} after ${attempts} attempt(s). The lockfile at '${path}' might need manual deletion.`,
    { code: "LockHeld", operation: "open", path, cause },
    { attempts, waitedMs },
  );
}

/** What the name stands for: the lock of a symbolic link is beside the file it leads to, at most five links away (git, lockfile.c). */
function* behindLinks(
  fs: StepFs,
  resource: string,
): Steps<{ readonly path: string; readonly exists: boolean }> {
  let path = resource;
  let stat = yield* fs.lstat(path);
  for (let links = 0; stat !== undefined && isSymlink(stat) && links < MOST_LINKS; links++) {
    path = linkDestination(path, yield* fs.readlink(path));
    stat = yield* fs.lstat(path);
  }
  return { path, exists: stat !== undefined };
}

const MOST_LINKS = 5;

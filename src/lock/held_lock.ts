/** What FileLock and DirLock have in common: a lock that is held until it is released, once. */

import type { FsAdapter } from "../base/fs_adapter.ts";
import { sameInode } from "../base/file_types.ts";
import { StepFs } from "../base/step_fs.ts";
import { runAsync, runSync } from "../base/steps.ts";
import { type Held, release } from "./acquire.ts";

/**
 * A lock that is held from its making on until its {@linkcode HeldLock.release}, or the end of the process.
 *
 * @example Whatever was locked
 * ```ts
 * import { FileLock, type HeldLock } from "@crashsafe/fs";
 * import { rmSync } from "node:fs";
 *
 * const lock: HeldLock = await FileLock.acquire("example.lock");
 * console.log(lock.released, lock.isIntact()); // false true
 * await lock.release();
 * rmSync("example.lock");
 * ```
 */
export abstract class HeldLock {
  /** The lock file, absolute. */
  readonly path: string;
  /** Whether others may hold it shared at the same time. */
  readonly shared: boolean;
  readonly #adapter: FsAdapter;
  #held: Held | undefined;

  /** Made by `acquire` and `tryAcquire`. */
  protected constructor(adapter: FsAdapter, held: unknown) {
    const { file, shared } = held as Held;
    this.path = file.path;
    this.shared = shared;
    this.#adapter = adapter;
    this.#held = held as Held;
    watchForLeaks(this);
  }

  /** Whether it was released. */
  get released(): boolean {
    return this.#held === undefined;
  }

  /**
   * Whether the lock file is still the one that is locked. Nobody may replace or remove a lock file; if it happened all the same, another
   * process can hold the new one.
   */
  isIntact(): boolean {
    if (this.#held === undefined) return false;
    const there = this.#adapter.sync.lstat(this.path);
    return there !== undefined && sameInode(there, this.#held.inode);
  }

  /** Releases the lock. A second call does nothing. */
  async release(): Promise<void> {
    const held = this.#take();
    if (held !== undefined) await runAsync(release(new StepFs(this.#adapter, "async"), held));
  }

  /** Releases the lock at once. A second call does nothing. */
  releaseSync(): void {
    const held = this.#take();
    if (held !== undefined) runSync(release(new StepFs(this.#adapter, "sync"), held));
  }

  /** Releases, for `using`. */
  [Symbol.dispose](): void {
    this.releaseSync();
  }

  /** Releases, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }

  #take(): Held | undefined {
    const held = this.#held;
    this.#held = undefined;
    if (held !== undefined) leaks?.unregister(this);
    return held;
  }
}

/** Set by our own tests, which want to hear of every lock that was dropped instead of released. */
const LEAK_LISTENER = Symbol.for("@crashsafe/fs/lock-leaks");

let leaks: FinalizationRegistry<string> | undefined;

function watchForLeaks(lock: HeldLock): void {
  const listener = (globalThis as { [LEAK_LISTENER]?: (path: string) => void })[LEAK_LISTENER];
  if (listener === undefined) return;
  leaks ??= new FinalizationRegistry(listener);
  leaks.register(lock, lock.path, lock);
}

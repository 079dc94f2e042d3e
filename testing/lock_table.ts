/** flock(2) of a {@linkcode MemoryFs}: locks belong to open files, exclude each other per inode, and end with their close. */

import type { LockKind } from "../src/base/fs_adapter.ts";

/**
 * A lock that somebody holds.
 *
 * @example Who holds what
 * ```ts
 * import { type HeldLock, MemoryFs } from "@crashsafe/fs/testing";
 *
 * const held: readonly HeldLock[] = new MemoryFs().locks;
 * console.log(held.length); // 0
 * ```
 */
export interface HeldLock {
  /** The process that holds it. */
  readonly pid: number;
  /** The inode that is locked. */
  readonly ino: number;
  /** How many names the inode has: 0 when nobody can find it any more. */
  readonly nlink: number;
  /** The path that the handle was opened with. */
  readonly path: string;
  /** Exclusive or shared. */
  readonly kind: LockKind;
}

/** What can be locked. */
export interface Lockable {
  readonly pid: number;
  readonly path: string;
  readonly inode: { readonly ino: number; readonly links: number };
}

export class LockTable {
  readonly #held = new Map<Lockable, LockKind>();

  /** Answers false when somebody else is in the way. */
  take(file: Lockable, kind: LockKind): boolean {
    const others = [...this.#held].filter(([other]) =>
      other !== file && other.inode.ino === file.inode.ino
    );
    const free = others.every(([, held]) => kind === "shared" && held === "shared");
    if (free) this.#held.set(file, kind);
    // A conversion is no atomic step: one that fails has lost the lock that it began with (flock(2)).
    else this.#held.delete(file);
    return free;
  }

  release(file: Lockable): void {
    this.#held.delete(file);
  }

  held(): readonly HeldLock[] {
    return [...this.#held].map(([{ pid, path, inode }, kind]) => ({
      pid,
      path,
      ino: inode.ino,
      nlink: inode.links,
      kind,
    }));
  }
}

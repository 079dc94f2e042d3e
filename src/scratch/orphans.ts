/**
 * Temporary files that dead writers left.
 *
 * 1. A name of class l has a lock: whoever gets it has proof that the writer is dead. Nothing else counts, no age.
 * 2. A name of class u, and names of other programs, say nothing: only an age that the caller names decides, and it is a guess.
 * 3. Before a file is removed its inode is compared with what the path names; a file with a lock is removed while the lock is held.
 * 4. Symbolic links are never followed, neither to files nor to directories.
 */

import { closeQuietly } from "../base/directories.ts";
import { CrashSafeError } from "../base/errors.ts";
import type { FileStat } from "../base/fs_adapter.ts";
import { isDirectory, isRegular, sameInode } from "../base/file_types.ts";
import { failedWith, type OpenFile, type StepFs } from "../base/step_fs.ts";
import type { Steps } from "../base/steps.ts";
import { tempClassOf } from "./temp_names.ts";

/**
 * Programs whose temporary files are recognised: this package, Oxen (`.oxentmp.`), aperture (`.<name>.<16 hex>.tmp`).
 *
 * @example Whose it is
 * ```ts
 * import { findOrphansSync, type OrphanWriter } from "@crashsafe/fs";
 *
 * const writers: OrphanWriter[] = [...findOrphansSync(".", { also: ["oxen"] })].map(({ writer }) => writer);
 * console.log(writers.length);
 * ```
 */
export type OrphanWriter = "crashsafe" | "oxen" | "aperture";

/**
 * A temporary file whose writer is dead, or may be.
 *
 * @example The largest first
 * ```ts
 * import { findOrphansSync, type Orphan } from "@crashsafe/fs";
 *
 * const found: Orphan[] = [...findOrphansSync(".")].sort((a, b) => b.size - a.size);
 * console.log(found.length);
 * ```
 */
export interface Orphan {
  /** The file, absolute. */
  readonly path: string;
  /** Its size in bytes. */
  readonly size: number;
  /** Milliseconds since it was written to last. Negative if its time is in the future. */
  readonly ageMs: number;
  /** Whose name it has. */
  readonly writer: OrphanWriter;
  /** What the name promises: `"l"` a lock while its writer lives, `"u"` nothing. Others' names promise nothing. */
  readonly class: "l" | "u";
  /** `"dead"`: the lock was had. `"unknown"`: nobody can tell. */
  readonly owner: "dead" | "unknown";
  /** Whether a sweep with the same options removes it: it is dead, or older than `minAgeMs`. */
  readonly removable: boolean;
}

/** What to look for; complete. */
export interface OrphanQuery {
  readonly recursive: boolean;
  readonly minAgeMs: number | undefined;
  readonly also: readonly OrphanWriter[];
  /** Milliseconds since 1970. */
  readonly nowMs: number;
}

/** What became of one name. */
export type Found =
  | { readonly kind: "orphan"; readonly orphan: Orphan; readonly removed: boolean }
  | { readonly kind: "live"; readonly path: string }
  | { readonly kind: "failed"; readonly path: string; readonly error: CrashSafeError };

/** A walk over a directory, name by name. */
export class OrphanWalk {
  /** Names looked at. */
  looked = 0;
  readonly #fs: StepFs;
  readonly #query: OrphanQuery;
  readonly #remove: boolean;
  readonly #dirs: string[];
  #names: string[] = [];
  #dir: string;
  #first = true;
  #pausedAt: number;

  constructor(fs: StepFs, dir: string, query: OrphanQuery, remove: boolean) {
    this.#fs = fs;
    this.#query = query;
    this.#remove = remove;
    this.#dirs = [dir];
    this.#dir = dir;
    this.#pausedAt = fs.now();
  }

  /** Goes on to the next temporary file. Undefined at the end. */
  *next(): Steps<Found | undefined> {
    for (;;) {
      const name = this.#names.pop();
      if (name === undefined) {
        const dir = this.#dirs.pop();
        if (dir === undefined) return undefined;
        const failure = yield* this.#enter(dir);
        if (failure !== undefined) return failure;
        continue;
      }
      this.looked++;
      yield* this.#breathe();
      const path = joined(this.#dir, name);
      try {
        const found = yield* this.#look(path, name);
        if (found !== undefined) return found;
      } catch (error) {
        if (!(error instanceof CrashSafeError)) throw error;
        return { kind: "failed", path, error };
      }
    }
  }

  /** Lists a directory. The top must be readable; of others a failure is told, and the walk goes on. */
  *#enter(dir: string): Steps<Found | undefined> {
    const first = this.#first;
    this.#first = false;
    this.#dir = dir;
    try {
      for (const { name, kind } of yield* this.#fs.readdir(dir)) {
        if (this.#writerOf(name) !== undefined && kind !== "directory" && kind !== "symlink") {
          this.#names.push(name);
        } else if (this.#query.recursive) {
          const path = joined(dir, name);
          if (kind === "directory") this.#dirs.push(path);
          // Some file systems do not tell in the listing.
          if (kind === "other" && (yield* this.#isDirectory(path))) this.#dirs.push(path);
        }
      }
      return undefined;
    } catch (error) {
      if (first || !(error instanceof CrashSafeError)) throw error;
      // Removed since it was listed: as good as empty.
      if (error.code === "ENOENT") return undefined;
      return { kind: "failed", path: dir, error };
    }
  }

  *#isDirectory(path: string): Steps<boolean> {
    const stat = yield* this.#fs.lstat(path);
    return stat !== undefined && isDirectory(stat);
  }

  #writerOf(name: string): OrphanWriter | undefined {
    if (tempClassOf(name) !== undefined) return "crashsafe";
    return this.#query.also.find((writer) => FOREIGN[writer]?.test(name));
  }

  *#look(path: string, name: string): Steps<Found | undefined> {
    const stat = yield* this.#fs.lstat(path);
    // Published or removed since it was listed; or no file, and nobody's.
    if (stat === undefined || !isRegular(stat)) return undefined;
    const writer = this.#writerOf(name) ?? "crashsafe";
    const ageMs = this.#query.nowMs - Number(stat.mtimeNs / 1_000_000n);
    const orphan = { path, size: stat.size, ageMs, writer };
    if (tempClassOf(name) === "l") return yield* this.#lookLocked(stat, orphan);
    const { minAgeMs } = this.#query;
    const removable = minAgeMs !== undefined && ageMs >= minAgeMs;
    const removed = removable && this.#remove && (yield* this.#unlinkSame(path, stat));
    return {
      kind: "orphan",
      orphan: { ...orphan, class: "u", owner: "unknown", removable },
      removed,
    };
  }

  /** A name that promises a lock: only the lock decides. */
  *#lookLocked(
    stat: FileStat,
    orphan: Pick<Orphan, "path" | "size" | "ageMs" | "writer">,
  ): Steps<Found | undefined> {
    const { path } = orphan;
    const told = { ...orphan, class: "l" } as const;
    if (this.#fs.adapter.capabilities.flock === "none") {
      const unknown = { ...told, owner: "unknown", removable: false } as const;
      return { kind: "orphan", orphan: unknown, removed: false };
    }
    const file = yield* this.#open(path);
    if (file === undefined) return undefined;
    try {
      if (!(yield* this.#fs.flock(file, "exclusive"))) return { kind: "live", path };
      const ours = yield* this.#fs.fstat(file);
      // Not the file that was looked at: published, and its name used again, in between.
      if (ours.nlink === 0 || !sameInode(ours, stat)) return undefined;
      const removed = this.#remove && (yield* this.#unlinkSame(path, stat));
      if (!removed && this.#remove) return undefined;
      return { kind: "orphan", orphan: { ...told, owner: "dead", removable: true }, removed };
    } finally {
      yield* closeQuietly(this.#fs, file);
    }
  }

  /** Undefined when it is not there any more. A file that may only be read can be locked as well. */
  *#open(path: string): Steps<OpenFile | undefined> {
    for (const access of ["read-write", "read"] as const) {
      try {
        return yield* this.#fs.open(path, { access, noFollow: true, lockable: true });
      } catch (cause) {
        // ESTALE: exchanged between a look and an open of a runtime that needs both.
        if (failedWith(cause, "ENOENT", "ESTALE", "ELOOP")) return undefined;
        const readable = failedWith(cause, "EACCES", "EPERM", "EROFS", "ERR_ACCESS_DENIED");
        if (!readable || access === "read") throw cause;
      }
    }
    return undefined;
  }

  /** Answers false when the path names another file by now, or none. */
  *#unlinkSame(path: string, stat: FileStat): Steps<boolean> {
    const there = yield* this.#fs.lstat(path);
    if (there === undefined || !sameInode(there, stat)) return false;
    // Written to since: somebody lives.
    if (there.mtimeNs !== stat.mtimeNs) return false;
    try {
      yield* this.#fs.unlink(path);
      return true;
    } catch (cause) {
      // A writer that was refused its lock, by us, removes its file itself.
      if (failedWith(cause, "ENOENT")) return false;
      throw cause;
    }
  }

  /** An asynchronous walk lets others have the thread. */
  *#breathe(): Steps<void> {
    if (this.#fs.colour === "sync" || this.#fs.now() - this.#pausedAt < LONGEST_STRETCH_MS) return;
    yield* this.#fs.sleep(0);
    this.#pausedAt = this.#fs.now();
  }
}

const LONGEST_STRETCH_MS = 4;

const FOREIGN: Readonly<Record<OrphanWriter, RegExp | undefined>> = {
  crashsafe: undefined,
  oxen: /\.oxentmp\./,
  aperture: /^\..+\.[0-9a-f]{16}\.tmp$/s,
};

function joined(dir: string, name: string): string {
  return dir.endsWith("/") ? dir + name : `${dir}/${name}`;
}

/**
 * Removing a tree of anything: whatever its modes, however deep, and whoever else may write to it.
 *
 * The top must be a directory that only its owner can enter. Every directory below is renamed up into it (hoisted) before
 * anything in it is touched, so that
 *
 * 1. no path gets longer than the top's and two names: depth is no limit (PATH_MAX is 4096 bytes), and needs no recursion;
 * 2. no component of a path is in the hands of somebody else: a directory that is exchanged for a symbolic link in the middle of the work
 *    is renamed as the link that it is by then, and unlinked. Nothing outside the tree is ever read or removed.
 *
 * A crash leaves the top with fewer things in it, to be removed again.
 */

import { CrashSafeError, explainCode } from "../base/errors.ts";
import type { DirEntry } from "../base/fs_adapter.ts";
import { isDirectory } from "../base/file_types.ts";
import { failedWith, type StepFs } from "../base/step_fs.ts";
import type { Steps } from "../base/steps.ts";
import { randomId } from "../scratch/temp_names.ts";

/** Removes `top` and all in it. A missing one is as good. Throws, after everything else is gone, for what stays. */
export function* removeTree(fs: StepFs, top: string): Steps<void> {
  const stat = yield* fs.lstat(top);
  if (stat === undefined) return;
  if (!isDirectory(stat)) {
    // A symbolic link, or what else has taken the name: it alone.
    yield* fs.unlink(top);
    return;
  }
  const tree = new Removal(fs, top);
  for (let round = 1;; round++) {
    const listed = yield* tree.emptied();
    if (!listed) return;
    try {
      yield* fs.rmdir(top);
      return;
    } catch (cause) {
      if (failedWith(cause, "ENOENT")) return;
      const passes = failedWith(cause, "ENOTEMPTY", "EEXIST", "EBUSY") && !tree.isStuck;
      if (!passes || round === MOST_ROUNDS) throw tree.failure(cause);
      // Something was put into it meanwhile.
      yield* fs.sleep(Math.min(round, LONGEST_PAUSE_MS));
    }
  }
}

const MOST_ROUNDS = 32;
const LONGEST_PAUSE_MS = 10;
/** Then an asynchronous removal lets others have the thread. */
const LONGEST_STRETCH_MS = 4;

class Removal {
  readonly #fs: StepFs;
  readonly #top: string;
  readonly #prefix: string;
  #hoisted = 0;
  #pausedAt: number;
  #stays: { readonly path: string; readonly cause: unknown } | undefined;

  constructor(fs: StepFs, top: string) {
    this.#fs = fs;
    this.#top = top;
    this.#prefix = `${top}/.gone-${randomId(fs.adapter.process.random)}-`;
    this.#pausedAt = fs.now();
  }

  /** Removes what is in the top now. Answers false when the top is not there. */
  *emptied(): Steps<boolean> {
    this.#stays = undefined;
    const entries = yield* this.#list(this.#top);
    if (entries === undefined) return false;
    const dirs: string[] = [];
    for (const entry of entries) {
      const path = `${this.#top}/${entry.name}`;
      if (entry.kind === "directory" || (yield* this.#unlinked(path)) === "directory") {
        dirs.push(path);
      }
    }
    for (let dir = dirs.pop(); dir !== undefined; dir = dirs.pop()) yield* this.#remove(dir, dirs);
    return true;
  }

  /** Whether something stays that another try would not remove. */
  get isStuck(): boolean {
    return this.#stays !== undefined;
  }

  failure(cause: unknown): unknown {
    const first = this.#stays ?? { path: this.#top, cause };
    if (!(first.cause instanceof CrashSafeError)) return first.cause;
    const { code, operation } = first.cause;
    const why = code === "ENOTEMPTY" ? "files are being added to it" : explainCode(code);
    return new CrashSafeError(
      `Cannot remove "${first.path}": ${why}, "${this.#top}" and what is left in it stay`,
      { code, operation, path: first.path, leftover: this.#top, cause: first.cause.cause },
    );
  }

  /** Empties and removes one directory right below the top; those in it come up and into `dirs`. */
  *#remove(dir: string, dirs: string[]): Steps<void> {
    // What was renamed up here need not be what was listed. From here on nobody else can exchange it.
    const stat = yield* this.#fs.lstat(dir);
    if (stat === undefined) return;
    if (!isDirectory(stat)) return void (yield* this.#unlinked(dir));
    for (let round = 1;; round++) {
      const entries = yield* this.#list(dir);
      if (entries === undefined) return;
      for (const { name, kind } of entries) {
        const path = `${dir}/${name}`;
        if (kind !== "directory" && (yield* this.#unlinked(path)) !== "directory") continue;
        const up = yield* this.#hoist(path, dir);
        if (up !== undefined) dirs.push(up);
      }
      try {
        yield* this.#fs.rmdir(dir);
        return;
      } catch (cause) {
        if (failedWith(cause, "ENOENT")) return;
        const again = failedWith(cause, "ENOTEMPTY", "EEXIST", "EBUSY") && round < MOST_ROUNDS;
        if (!again || this.#stays !== undefined) return this.#keep(dir, cause);
        yield* this.#fs.sleep(Math.min(round, LONGEST_PAUSE_MS));
      }
    }
  }

  /** Lists a directory, making it accessible if it has to be. Undefined when it is not there, or stays. */
  *#list(dir: string): Steps<readonly DirEntry[] | undefined> {
    yield* this.#breathe();
    for (let attempt = 1;; attempt++) {
      try {
        return yield* this.#fs.readdir(dir);
      } catch (cause) {
        if (failedWith(cause, "ENOENT")) return undefined;
        if (attempt > 1 || !(yield* this.#opened(dir, cause))) {
          this.#keep(dir, cause);
          return undefined;
        }
      }
    }
  }

  /** Renames a directory into the top. Undefined when it is not there any more, or stays. */
  *#hoist(path: string, parent: string): Steps<string | undefined> {
    for (let attempt = 1;; attempt++) {
      const up = `${this.#prefix}${this.#hoisted++}`;
      try {
        yield* this.#fs.rename(path, up);
        return up;
      } catch (cause) {
        if (failedWith(cause, "ENOENT")) return undefined;
        // To move a directory one must be able to write to it, and to its parent.
        const may = attempt === 1 && (yield* this.#opened(parent, cause)) &&
          (yield* this.#opened(path, cause));
        if (!may) {
          this.#keep(path, cause);
          return undefined;
        }
      }
    }
  }

  /** Removes a name that is no directory's. Answers "directory" when it is one. */
  *#unlinked(path: string): Steps<"directory" | undefined> {
    yield* this.#breathe();
    for (let attempt = 1;; attempt++) {
      try {
        yield* this.#fs.unlink(path);
        return undefined;
      } catch (cause) {
        if (failedWith(cause, "ENOENT")) return undefined;
        // Linux says EISDIR, POSIX EPERM.
        if (failedWith(cause, "EISDIR", "EPERM")) {
          const stat = yield* this.#fs.lstat(path);
          if (stat === undefined) return undefined;
          if (isDirectory(stat)) return "directory";
        }
        const parent = path.slice(0, path.lastIndexOf("/"));
        const again = attempt === 1 && (yield* this.#opened(parent, cause));
        if (!again) {
          this.#keep(path, cause);
          return undefined;
        }
      }
    }
  }

  /** After EACCES: gives ourselves all rights to a directory of ours. Answers whether it is worth another try. */
  *#opened(dir: string, cause: unknown): Steps<boolean> {
    if (!failedWith(cause, "EACCES")) return false;
    const stat = yield* this.#fs.lstat(dir);
    if (stat === undefined || !isDirectory(stat)) return false;
    try {
      yield* this.#fs.chmod(dir, 0o700);
      return true;
    } catch {
      return false;
    }
  }

  #keep(path: string, cause: unknown): void {
    this.#stays ??= { path, cause };
  }

  *#breathe(): Steps<void> {
    if (this.#fs.colour === "sync" || this.#fs.now() - this.#pausedAt < LONGEST_STRETCH_MS) return;
    yield* this.#fs.sleep(0);
    this.#pausedAt = this.#fs.now();
  }
}

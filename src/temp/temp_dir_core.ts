/**
 * The life of one temporary directory, in steps. Its layout and rules are in temp_dir_layout.ts. Operations of one directory run one after the
 * other; a cleanup that fails keeps the lock and can be tried again.
 */

import { basename, dirname } from "node:path";
import { closeQuietly, fsyncDirIfPossible, makeDirs, syncMadeDirs } from "../base/directories.ts";
import {
  CrashSafeError,
  DurabilityUnknownError,
  explainCode,
  MisuseError,
  UnsupportedError,
} from "../base/errors.ts";
import type { FileStat, FsAdapter } from "../base/fs_adapter.ts";
import { isDirectory, isRegular, sameInode } from "../base/file_types.ts";
import { failedWith, type OpenFile, type StepFs } from "../base/step_fs.ts";
import { settled, type Steps } from "../base/steps.ts";
import { randomId, shortenName } from "../scratch/temp_names.ts";
import { removeLocked } from "./recover.ts";
import { bornLocked, dirPath, lockPath, requireFlock } from "./temp_dir_layout.ts";

/**
 * What has to survive a power cut.
 *
 * @example The default
 * ```ts
 * import { type StagingDurability } from "@crashsafe/fs";
 *
 * const durability: StagingDurability = "none";
 * console.log(durability);
 * ```
 */
export type StagingDurability = "none" | "full";

/** Makes a directory of its own in `root`, and `root` itself. */
export function* createTempDir(fs: StepFs, root: string): Steps<TempDirCore> {
  requireFlock(fs, root);
  yield* makeRoot(fs, root);
  for (let attempt = 1;; attempt++) {
    const id = randomId(fs.adapter.process.random);
    const lock = yield* bornLocked(fs, root, id);
    if (lock === undefined) {
      if (attempt < MOST_ATTEMPTS) continue;
      throw new CrashSafeError(`Cannot make a directory in "${root}": every name is taken`, {
        code: "EEXIST",
        operation: "link",
        path: root,
      });
    }
    try {
      yield* fs.mkdir(dirPath(root, id), 0o700);
      return new TempDirCore(fs.adapter, root, id, lock);
    } catch (cause) {
      try {
        yield* fs.unlink(lockPath(root, id));
      } catch {
        // Dead as soon as it is closed: the next recovery takes it.
      }
      yield* closeQuietly(fs, lock);
      throw cause;
    }
  }
}

const MOST_ATTEMPTS = 4;

function* makeRoot(fs: StepFs, root: string): Steps<void> {
  const stat = yield* fs.stat(root);
  if (stat === undefined) {
    yield* makeDirs(fs, root, 0o700);
  } else if (!isDirectory(stat)) {
    throw new CrashSafeError(`Cannot use "${root}" for temporary directories: it is no directory`, {
      code: "ENOTDIR",
      operation: "mkdir",
      path: root,
    });
  }
}

export class TempDirCore {
  readonly adapter: FsAdapter;
  readonly root: string;
  readonly path: string;
  readonly #id: string;
  #lock: OpenFile | undefined;
  #counter = 0;
  #ending = false;
  #busy = false;
  readonly #waiting: (() => void)[] = [];

  constructor(adapter: FsAdapter, root: string, id: string, lock: OpenFile) {
    this.adapter = adapter;
    this.root = root;
    this.#id = id;
    this.path = dirPath(root, id);
    this.#lock = lock;
  }

  /** Whether it was cleaned up. */
  get ended(): boolean {
    return this.#lock === undefined;
  }

  /** Renames `path` into the directory. Answers where it is now. The counter goes on whatever happens. */
  *stageDeletion(fs: StepFs, path: string, durability: StagingDurability): Steps<string> {
    this.#assertAlive("stage the deletion of", path);
    const staged = `${this.path}/${this.#counter++}-${
      shortenName(basename(path), MOST_NAME_BYTES)
    }`;
    yield* this.#enter(fs);
    try {
      this.#assertAlive("stage the deletion of", path);
      yield* this.#move(
        fs,
        { what: "stage the deletion of", path, dest: staged },
        durability,
        () => fs.rename(path, staged),
      );
      return staged;
    } finally {
      this.#leave();
    }
  }

  /** A name for something that is to be added elsewhere. */
  nextAddition(): string {
    this.#assertAlive("stage an addition in", this.path);
    return `${this.path}/${this.#counter++}-addition`;
  }

  /** Gives a staged addition its name, which must be free. */
  *commit(fs: StepFs, path: string, dest: string, durability: StagingDurability): Steps<void> {
    this.#assertAlive("commit", path);
    yield* this.#enter(fs);
    try {
      this.#assertAlive("commit", path);
      const stat = yield* fs.lstat(path);
      if (stat === undefined) throw this.#refused("ENOENT", path, dest, "nothing was put there");
      if ((yield* fs.lstat(dest)) !== undefined) {
        throw this.#refused("EEXIST", path, dest, "it exists already");
      }
      if (durability === "full") yield* syncTree(fs, path, stat);
      const job = { what: "commit", path, dest };
      if (isDirectory(stat)) {
        yield* this.#move(fs, job, durability, () => fs.rename(path, dest));
      } else {
        yield* this.#move(fs, job, durability, () => linkNew(fs, path, dest, stat));
      }
    } finally {
      this.#leave();
    }
  }

  /** Removes the directory, then the lock. Does nothing the second time; after a failure it can be called again. */
  *cleanup(fs: StepFs): Steps<void> {
    if (this.#lock === undefined) return;
    this.#ending = true;
    yield* this.#enter(fs);
    try {
      const lock = this.#lock;
      if (lock === undefined) return;
      yield* removeLocked(fs, this.root, this.#id);
      this.#lock = undefined;
      yield* closeQuietly(fs, lock);
    } finally {
      this.#leave();
    }
  }

  /** A rename or link with what has to be durable opened before and synced after. */
  *#move(
    fs: StepFs,
    { what, path, dest }: { readonly what: string; readonly path: string; readonly dest: string },
    durability: StagingDurability,
    commit: () => Steps<void>,
  ): Steps<void> {
    const dirs: OpenFile[] = [];
    try {
      try {
        if (durability === "full") {
          yield* syncMadeDirs(fs, dirname(dest));
          for (const dir of new Set([dirname(dest), dirname(path)])) {
            dirs.push(yield* fs.openDir(dir));
          }
        }
        yield* commit();
      } catch (cause) {
        throw notMoved(what, path, dest, cause);
      }
      for (const dir of dirs) {
        try {
          if (yield* fsyncDirIfPossible(fs, dir)) continue;
        } catch (cause) {
          throw movedNotDurable(what, path, dest, cause);
        }
        throw movedNotDurable(what, path, dest, undefined);
      }
    } finally {
      for (const dir of dirs) yield* closeQuietly(fs, dir);
    }
  }

  #assertAlive(what: string, path: string): void {
    if (this.#lock !== undefined && !this.#ending) return;
    throw new MisuseError(`Cannot ${what} "${path}": the temporary directory was cleaned up`);
  }

  #refused(code: string, path: string, dest: string, why: string): CrashSafeError {
    return new CrashSafeError(
      `Cannot commit "${path}" as "${dest}": ${why} (${code}), nothing was moved`,
      { code, operation: "check", path, dest },
    );
  }

  *#enter(fs: StepFs): Steps<void> {
    if (this.#busy) {
      if (fs.colour === "sync") {
        throw new MisuseError(`"${this.path}" is in use: an asynchronous operation has not ended`);
      }
      yield* settled(new Promise<void>((resolve) => this.#waiting.push(resolve)));
    }
    this.#busy = true;
  }

  #leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#busy = false;
    else next();
  }
}

/** Refuses what cannot be made durable, before any effect. */
export function requireDurableStaging(
  { name, capabilities }: FsAdapter,
  durability: StagingDurability,
  path: string,
): void {
  if (durability !== "none" && durability !== "full") {
    throw new MisuseError(`durability must be "none" or "full", not ${JSON.stringify(durability)}`);
  }
  if (durability === "none" || (capabilities.fsync && capabilities.fsyncDir)) return;
  throw new UnsupportedError(
    "fsyncDir",
    `Cannot move "${path}" durably: ${name} cannot fsync directories here, nothing was moved`,
    { operation: "fsyncDir", path },
  );
}

/** Room for a counter before the name. */
const MOST_NAME_BYTES = 240;

/** A second name, then the first one goes. A first name that cannot go is removed with the directory. */
function* linkNew(fs: StepFs, path: string, dest: string, stat: FileStat): Steps<void> {
  try {
    yield* fs.link(path, dest);
  } catch (cause) {
    // Carried out all the same, and the answer was lost?
    const there = yield* fs.lstat(dest);
    if (there === undefined || !sameInode(there, stat)) throw cause;
  }
  try {
    yield* fs.unlink(path);
  } catch {
    // It is published; the directory goes with all that is in it.
  }
}

/** Makes the content of an addition durable: every file and every directory of it. Links are not followed. */
function* syncTree(fs: StepFs, top: string, stat: FileStat): Steps<void> {
  if (isRegular(stat)) return yield* syncFile(fs, top);
  if (!isDirectory(stat)) return;
  for (const dirs = [top]; dirs.length > 0;) {
    const dir = dirs.pop() ?? top;
    for (const { name, kind } of yield* fs.readdir(dir)) {
      if (kind === "directory") dirs.push(`${dir}/${name}`);
      if (kind === "file") yield* syncFile(fs, `${dir}/${name}`);
    }
    const handle = yield* fs.openDir(dir);
    try {
      yield* fsyncDirIfPossible(fs, handle);
    } finally {
      yield* closeQuietly(fs, handle);
    }
  }
}

function* syncFile(fs: StepFs, path: string): Steps<void> {
  const file = yield* fs.open(path, { access: "read", noFollow: true });
  try {
    yield* fs.fsync(file);
  } finally {
    yield* closeQuietly(fs, file);
  }
}

function notMoved(what: string, path: string, dest: string, cause: unknown): unknown {
  if (!(cause instanceof CrashSafeError)) return cause;
  const { code, operation } = cause;
  const why = code === "EXDEV"
    ? `EXDEV ("${dest}" is on another file system, the same file system is needed)`
    : failedWith(cause, "EEXIST", "ENOTEMPTY")
    ? `"${dest}" exists already (${code})`
    : `${operation} failed with ${explainCode(code)}`;
  return new CrashSafeError(`Cannot ${what} "${path}": ${why}, nothing was moved`, {
    code,
    operation,
    path,
    dest,
    cause: cause.cause,
  });
}

function movedNotDurable(what: string, path: string, dest: string, cause: unknown): unknown {
  const known = cause instanceof CrashSafeError ? cause : undefined;
  return new DurabilityUnknownError(
    `Cannot ${what} "${path}" durably: the fsync of a directory ${
      known === undefined ? "is not possible here" : `failed with ${explainCode(known.code)}`
    }, it is "${dest}" now but a power cut may undo that`,
    { code: known?.code ?? "ENOTSUP", operation: "fsyncDir", path, dest, cause: known?.cause },
    true,
  );
}

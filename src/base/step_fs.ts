/**
 * An adapter seen as steps. Each method is one step: it makes the call (a synchronous one at once), yields the answer, and on
 * failure throws a CrashSafeError that names the operation and the path, with the native error as
 * its cause. Open files carry their path, so that a failed write can say where.
 */

import type {
  DirEntry,
  FileStat,
  FsAdapter,
  FsHandle,
  FsOps,
  LockKind,
  MaybePromise,
  OpenOptions,
} from "./fs_adapter.ts";
import { sameInode } from "./file_types.ts";
import { CrashSafeError, explainCode } from "./errors.ts";
import { type ProcessState, processState } from "./process_state.ts";
import { done, isPromiseLike, settled, type Steps } from "./steps.ts";

/** An open file or directory with its name. */
export interface OpenFile {
  readonly handle: FsHandle;
  readonly path: string;
}

/** An operation under way that somebody will wait for later. */
export interface Begun<T> {
  /** Waits, and answers or throws as the operation did. */
  join(): Steps<T>;
}

export class StepFs {
  readonly adapter: FsAdapter;
  /** The driver that these steps are for: synchronous steps never answer a promise. */
  readonly colour: "sync" | "async";
  readonly #ops: FsOps;

  constructor(adapter: FsAdapter, colour: "sync" | "async") {
    this.adapter = adapter;
    this.colour = colour;
    this.#ops = colour === "sync" ? adapter.sync : adapter.async;
  }

  /** What the process of this file system shares. */
  get state(): ProcessState {
    return processState(this.adapter.process);
  }

  *open(path: string, options: OpenOptions): Steps<OpenFile> {
    return { handle: yield* this.#step("open", path, () => this.#ops.open(path, options)), path };
  }

  *openDir(path: string): Steps<OpenFile> {
    return { handle: yield* this.#step("openDir", path, () => this.#ops.openDir(path)), path };
  }

  read(file: OpenFile, buffer: Uint8Array): Steps<number> {
    return this.#step("read", file.path, () => this.#ops.read(file.handle, buffer));
  }

  beginRead(file: OpenFile, buffer: Uint8Array): Begun<number> {
    return this.#begin("read", file.path, () => this.#ops.read(file.handle, buffer));
  }

  beginWrite(file: OpenFile, bytes: Uint8Array): Begun<number> {
    return this.#begin("write", file.path, () => this.#ops.write(file.handle, bytes));
  }

  fsync(file: OpenFile): Steps<void> {
    return this.#step("fsync", file.path, () => this.#ops.fsync(file.handle));
  }

  beginFsync(file: OpenFile): Begun<void> {
    return this.#begin("fsync", file.path, () => this.#ops.fsync(file.handle));
  }

  beginFsyncDir(dir: OpenFile): Begun<void> {
    return this.#begin("fsyncDir", dir.path, () => this.#ops.fsyncDir(dir.handle));
  }

  syncFs(dir: OpenFile): Steps<void> {
    return this.#step("syncFs", dir.path, () => this.#ops.syncFs(dir.handle));
  }

  /** Keeps the inode of a file that is about to be replaced, as {@linkcode FsOps.pin}: undefined where that helps nobody or does not work. */
  *pin(path: string, { dev, nlink }: FileStat): Steps<OpenFile | undefined> {
    const { pin } = this.#ops;
    if (pin === undefined || nlink !== 1) return undefined;
    try {
      const handle = yield* this.#step("pin", path, () => pin(path, dev));
      return handle && { handle, path };
    } catch {
      // The rename frees it then.
      return undefined;
    }
  }

  /** Lets it go. Nobody has to wait for the end. */
  beginUnpin(pinned: OpenFile): Begun<void> {
    return this.#begin("close", pinned.path, () => this.#ops.close(pinned.handle));
  }

  fsyncDir(dir: OpenFile): Steps<void> {
    return this.#step("fsyncDir", dir.path, () => this.#ops.fsyncDir(dir.handle));
  }

  close(file: OpenFile): Steps<void> {
    return this.#step("close", file.path, () => this.#ops.close(file.handle));
  }

  closeDir(dir: OpenFile): Steps<void> {
    return this.#step("closeDir", dir.path, () => this.#ops.close(dir.handle));
  }

  stat(path: string): Steps<FileStat | undefined> {
    return this.#step("stat", path, () => this.#ops.stat(path));
  }

  lstat(path: string): Steps<FileStat | undefined> {
    return this.#step("lstat", path, () => this.#ops.lstat(path));
  }

  /** Whether two open files are one inode: synchronous in every colour, for a decision within one tick. */
  areSameNow(one: OpenFile, other: OpenFile): boolean {
    const { sync } = this.adapter;
    return sameInode(sync.fstat(one.handle), sync.fstat(other.handle));
  }

  fstat(file: OpenFile): Steps<FileStat> {
    return this.#step("fstat", file.path, () => this.#ops.fstat(file.handle));
  }

  chmod(path: string, mode: number): Steps<void> {
    return this.#step("chmod", path, () => this.#ops.chmod(path, mode));
  }

  fchmod(file: OpenFile, mode: number): Steps<void> {
    return this.#step("fchmod", file.path, () => this.#ops.fchmod(file.handle, mode));
  }

  fchown(file: OpenFile, uid: number, gid: number): Steps<void> {
    return this.#step("fchown", file.path, () => this.#ops.fchown(file.handle, uid, gid));
  }

  futimes(file: OpenFile, mtimeNs: bigint): Steps<void> {
    return this.#step("futimes", file.path, () => this.#ops.futimes(file.handle, mtimeNs));
  }

  flock(file: OpenFile, kind: LockKind): Steps<boolean> {
    return this.#step("flock", file.path, () => this.#ops.flock(file.handle, kind));
  }

  funlock(file: OpenFile): Steps<void> {
    return this.#step("funlock", file.path, () => this.#ops.funlock(file.handle));
  }

  /** Waits for a lock where that is one operation; undefined where it takes a loop. */
  flockWait(
    file: OpenFile,
    kind: LockKind,
    signal: AbortSignal,
  ): Steps<boolean> | undefined {
    const { flockWait } = this.#ops;
    if (flockWait === undefined) return undefined;
    return this.#step("flock", file.path, () => flockWait(file.handle, kind, signal));
  }

  /** A write at a place, for what is not worth a loop. */
  writeAt(file: OpenFile, bytes: Uint8Array, position: number): Steps<number> {
    return this.#step("write", file.path, () => this.#ops.write(file.handle, bytes, position));
  }

  /** A read at a place. */
  readAt(file: OpenFile, buffer: Uint8Array, position: number): Steps<number> {
    return this.#step("read", file.path, () => this.#ops.read(file.handle, buffer, position));
  }

  /** Milliseconds on the clock of the process. */
  now(): number {
    return this.adapter.process.now?.() ?? performance.now();
  }

  clone(from: OpenFile, to: OpenFile): Steps<boolean> {
    return this.#step("clone", to.path, () => this.#ops.clone(from.handle, to.handle));
  }

  readlink(path: string): Steps<string> {
    return this.#step("readlink", path, () => this.#ops.readlink(path));
  }

  unlink(path: string): Steps<void> {
    return this.#step("unlink", path, () => this.#ops.unlink(path));
  }

  rename(from: string, to: string): Steps<void> {
    return this.#step("rename", from, () => this.#ops.rename(from, to), to);
  }

  link(from: string, to: string): Steps<void> {
    return this.#step("link", from, () => this.#ops.link(from, to), to);
  }

  mkdir(path: string, mode: number): Steps<void> {
    return this.#step("mkdir", path, () => this.#ops.mkdir(path, mode));
  }

  rmdir(path: string): Steps<void> {
    return this.#step("rmdir", path, () => this.#ops.rmdir(path));
  }

  readdir(path: string): Steps<readonly DirEntry[]> {
    return this.#step("readdir", path, () => this.#ops.readdir(path));
  }

  sleep(ms: number): Steps<void> {
    return this.#step("sleep", "", () => this.#ops.sleep(ms));
  }

  /**
   * The commit point by rename: one synchronous system call in every colour. `learn` runs in the
   * same tick, before anybody else can look.
   */
  commitRename(from: string, to: string, learn: () => void): Steps<void> {
    return this.#step("rename", from, () => {
      this.adapter.sync.rename(from, to);
      learn();
    }, to);
  }

  /** The commit point by link, for a target that must not exist yet. */
  commitLink(from: string, to: string, learn: () => void): Steps<void> {
    return this.#step("link", from, () => {
      this.adapter.sync.link(from, to);
      learn();
    }, to);
  }

  #step<T>(
    operation: string,
    path: string,
    call: () => MaybePromise<T>,
    dest?: string,
  ): Steps<T> {
    // A generator for each operation is what a synchronous replace pays most for, after its system calls.
    if (this.colour === "async") return this.#perhapsWaiting(operation, path, call, dest);
    try {
      const answer = call();
      return isPromiseLike(answer) ? settled(answer) : done(answer);
    } catch (cause) {
      throw this.#named(operation, path, dest, cause);
    }
  }

  *#perhapsWaiting<T>(
    operation: string,
    path: string,
    call: () => MaybePromise<T>,
    dest?: string,
  ): Steps<T> {
    try {
      const answer = call();
      return isPromiseLike(answer) ? yield* settled(answer) : answer;
    } catch (cause) {
      throw this.#named(operation, path, dest, cause);
    }
  }

  /** Starts an operation without waiting. A failure is kept until it is joined. */
  #begin<T>(operation: string, path: string, call: () => MaybePromise<T>): Begun<T> {
    let answer: MaybePromise<T>;
    try {
      answer = call();
    } catch (cause) {
      const failure = this.#named(operation, path, undefined, cause);
      return {
        // deno-lint-ignore require-yield
        *join(): Steps<T> {
          throw failure;
        },
      };
    }
    // join() reports it; without this a rejection before the join would end the process.
    if (isPromiseLike(answer)) answer.then(undefined, () => {});
    return { join: () => this.#step(operation, path, () => answer) };
  }

  #named(operation: string, path: string, dest: string | undefined, cause: unknown): Error {
    const code = this.adapter.classify(cause);
    // No errno: a defect of the adapter or of ours, which must not look like a failure of the disk.
    if (code === undefined) {
      return cause instanceof Error ? cause : new Error(String(cause), { cause });
    }
    const where = dest === undefined ? `"${path}"` : `"${path}" to "${dest}"`;
    return new CrashSafeError(
      `Cannot ${VERBS[operation] ?? operation} ${where}: ${explainCode(code)}`,
      { code, operation, path, dest, cause },
    );
  }
}

const VERBS: Readonly<Record<string, string>> = {
  openDir: "open the directory",
  fsyncDir: "fsync the directory",
  closeDir: "close the directory",
  stat: "look at",
  lstat: "look at",
  fstat: "look at",
  chmod: "change the mode of",
  fchmod: "change the mode of",
  fchown: "change the owner of",
  futimes: "set the time of",
  readlink: "follow the link",
  readdir: "list",
  flock: "lock",
  funlock: "unlock",
};

/** Whether a step failed with one of these codes. */
export function failedWith(cause: unknown, ...codes: readonly string[]): cause is CrashSafeError {
  return cause instanceof CrashSafeError && codes.includes(cause.code);
}

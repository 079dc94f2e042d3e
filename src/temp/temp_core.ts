/**
 * What stands behind a handle of a temporary file.
 *
 * 1. Operations of a handle run one after the other, in call order. A synchronous one cannot wait: beside an asynchronous one it is a misuse.
 * 2. While one runs (and inside `withFile`) the registry's entry is in use: `cleanupTempFiles()` and signals that let the process go on
 *    leave it alone. In between they may take it; then every operation says so, and touches nothing.
 * 3. The descriptor is closed when no operation is on it. Disposing of a busy handle happens at the end of the operation.
 * 4. A file whose fsync has failed is never called durable again.
 */

import { commitTemp, makeNameDurable } from "../atomic/commit_temp.ts";
import { findDestination } from "../atomic/destination.ts";
import { notPublished } from "../atomic/failures.ts";
import type { ResolvedOptions } from "../atomic/options.ts";
import type { Receipt } from "../atomic/receipt.ts";
import type { TempSibling } from "../atomic/temp_sibling.ts";
import { inTurn, type Turn } from "../atomic/write_queue.ts";
import { closeQuietly, makeDirs } from "../base/directories.ts";
import { CrashSafeError, MisuseError } from "../base/errors.ts";
import type { FileStat, FsAdapter } from "../base/fs_adapter.ts";
import { permissions, sameInode } from "../base/file_types.ts";
import { pathKey } from "../base/paths.ts";
import type { TempEntry } from "../base/process_state.ts";
import { type OpenFile, StepFs } from "../base/step_fs.ts";
import { runSync, settled, type Steps } from "../base/steps.ts";
import { forgetTemp, isRegistered, removeTemp } from "../scratch/registry.ts";
import { dirname } from "node:path";

/**
 * From where a `seek` counts.
 *
 * @example Back from the end
 * ```ts
 * import { type SeekFrom } from "@crashsafe/fs";
 *
 * const from: SeekFrom = "end";
 * console.log(from);
 * ```
 */
export type SeekFrom = "start" | "current" | "end";

export class TempCore {
  readonly adapter: FsAdapter;
  readonly entry: TempEntry;
  readonly path: string;
  /** How the file was made: who owns it, with which mode. */
  readonly #made: FileStat;
  /** Open while it can be written to, and as long as its lock is to say that we live. */
  #file: OpenFile | undefined;
  readonly #locked: boolean;
  #position = 0;
  #syncFailed = false;
  #ended: "persisted" | "taken" | "disposed" | undefined;
  #busy = false;
  #users = 0;
  #disposeWhenIdle = false;
  readonly #waiting: (() => void)[] = [];

  constructor(fs: StepFs, temp: TempSibling) {
    const { handle, path, made, entry } = temp;
    this.adapter = fs.adapter;
    this.entry = entry;
    this.path = path;
    this.#made = made;
    this.#file = { handle, path };
    this.#locked = path.endsWith(".cs1l");
    entry.inUse = false;
  }

  /** Whether the handle has come to an end. */
  get ended(): boolean {
    return this.#ended !== undefined;
  }

  /** Reads from the position on, which moves. Answers 0 at the end. */
  *read(fs: StepFs, buffer: Uint8Array): Steps<number> {
    yield* this.#begin(fs, "read");
    try {
      const count = yield* fs.readAt(this.#open(), buffer, this.#position);
      this.#position += count;
      return count;
    } finally {
      this.#end();
    }
  }

  /** Writes all of `bytes` from the position on, which moves as far as it came. */
  *write(fs: StepFs, bytes: Uint8Array): Steps<void> {
    yield* this.#begin(fs, "write");
    try {
      for (let rest = bytes; rest.byteLength > 0;) {
        const count = yield* fs.writeAt(this.#open(), rest, this.#position);
        if (count <= 0) throw this.#failure("write", "NoProgress", "it takes no more bytes");
        this.#position += count;
        rest = rest.subarray(count);
      }
    } finally {
      this.#end();
    }
  }

  /** Moves the position. Answers the new one. */
  *seek(fs: StepFs, offset: number, from: SeekFrom): Steps<number> {
    if (!Number.isSafeInteger(offset) || !["start", "current", "end"].includes(from)) {
      throw new MisuseError(
        `seek wants a whole number and "start", "current" or "end", not ${offset} and ${from}`,
      );
    }
    yield* this.#begin(fs, "seek");
    try {
      const size = from === "end" ? (yield* fs.fstat(this.#open())).size : 0;
      const position = (from === "current" ? this.#position : size) + offset;
      if (position < 0) throw new MisuseError(`Cannot seek before the start: ${position}`);
      this.#position = position;
      return position;
    } finally {
      this.#end();
    }
  }

  /** Keeps cleanups away while `use` works. */
  enter(): () => void {
    this.#assertThere("use");
    this.#users++;
    this.entry.inUse = true;
    return () => {
      this.#users--;
      this.#rest();
    };
  }

  /** No more writing. A file with a lock keeps its descriptor. */
  *close(fs: StepFs): Steps<void> {
    yield* this.#beginLast(fs, "close");
    try {
      if (!this.#locked) yield* this.#closeFile(fs);
    } finally {
      this.#end();
    }
  }

  /** Publishes the file. On failure it is still there and the handle is usable. */
  *persist(fs: StepFs, target: string, o: ResolvedOptions): Steps<Receipt> {
    yield* this.#beginLast(fs, "persist");
    try {
      const publish = (turn: Turn): Steps<Receipt> => this.#publish(fs, target, o, turn);
      const receipt = yield* inTurn(
        fs,
        { ...o, key: pathKey(target), coalesce: undefined },
        publish,
      );
      // Overtaken by a synchronous write: published and replaced, as far as anybody can tell.
      if (this.#ended === undefined) yield* this.#discard(fs);
      this.#ended = "persisted";
      return receipt;
    } catch (cause) {
      throw notPublished(target, cause, o.signal);
    } finally {
      this.#end();
    }
  }

  /** The file is not temporary any more. */
  *take(fs: StepFs): Steps<string> {
    yield* this.#beginLast(fs, "take");
    try {
      forgetTemp(fs, this.entry);
      this.#ended = "taken";
      yield* this.#closeFile(fs);
      return this.path;
    } finally {
      this.#end();
    }
  }

  /** Removes the file, if it is still ours, and its empty parents. Does nothing the second time. */
  *dispose(fs: StepFs): Steps<void> {
    if (this.#ended !== undefined) return;
    if (this.#users > 0 || (fs.colour === "sync" && this.#busy)) {
      this.#disposeWhenIdle = true;
      return;
    }
    yield* this.#lock(fs, "dispose");
    try {
      // Somebody may have been quicker while we waited.
      if (this.#ended === undefined) yield* this.#discard(fs);
    } finally {
      this.#end();
    }
  }

  *#publish(
    fs: StepFs,
    target: string,
    o: ResolvedOptions,
    turn: Turn,
  ): Steps<Receipt> {
    if (this.#syncFailed && turn.durability !== "none") {
      throw this.#failure("check", "FsyncFailed", "an fsync of it has failed before");
    }
    const destination = yield* findDestination(fs, target, o);
    const dir = dirname(destination.path);
    if (o.createParents && (yield* fs.stat(dir)) === undefined) yield* makeDirs(fs, dir);
    const file = yield* this.#reopened(fs);
    const { path, entry } = this;
    const made = yield* fs.fstat(file);
    // Under a name that others can choose as well there may be another file by now.
    const there = this.#locked ? made : yield* fs.lstat(path);
    if (there === undefined || !sameInode(there, made)) throw this.#gone("persist");
    const temp: TempSibling = { ...file, path, made, entry };
    // A failed try may have given the file the mode of a target that it did not become.
    const mode = o.mode ?? (destination.old === undefined ? permissions(this.#made) : undefined);
    try {
      const filled = { bytes: made.size };
      const committed = yield* commitTemp(fs, temp, destination, { ...o, mode }, turn, filled);
      this.#ended = "persisted";
      this.#file = undefined;
      return yield* makeNameDurable(fs, temp, committed);
    } catch (cause) {
      if (cause instanceof CrashSafeError && cause.operation === "fsync" && cause.path === path) {
        this.#syncFailed = true;
      }
      throw cause;
    }
  }

  /** The file for fsync and metadata. */
  *#reopened(fs: StepFs): Steps<OpenFile> {
    if (this.#file !== undefined) return this.#file;
    const file = yield* fs.open(this.path, { access: "read-write", noFollow: true });
    try {
      if (!sameInode(yield* fs.fstat(file), this.entry.inode as FileStat)) {
        throw this.#gone("persist");
      }
    } catch (cause) {
      yield* closeQuietly(fs, file);
      throw cause;
    }
    this.#file = file;
    return file;
  }

  *#discard(fs: StepFs): Steps<void> {
    this.#ended = "disposed";
    const file = this.#file;
    this.#file = undefined;
    try {
      // Before the close: no other file can have the inode's number meanwhile.
      if (isRegistered(fs, this.entry)) yield* removeTemp(fs, this.entry);
    } catch (cause) {
      if (!(cause instanceof CrashSafeError)) throw cause;
      const { code, operation, path } = cause;
      throw new CrashSafeError(
        `Cannot remove the temporary file "${this.path}": ${cause.message}, it is still there and the end of the process tries again`,
        { code, operation, path, leftover: this.path, cause: cause.cause },
      );
    } finally {
      if (file !== undefined) yield* closeQuietly(fs, file);
    }
    forgetTemp(fs, this.entry);
  }

  *#closeFile(fs: StepFs): Steps<void> {
    const file = this.#file;
    this.#file = undefined;
    if (file !== undefined) yield* fs.close(file);
  }

  #open(): OpenFile {
    if (this.#file === undefined) {
      throw new MisuseError(`The temporary file "${this.path}" is closed`);
    }
    return this.#file;
  }

  /** Before an operation. */
  *#begin(fs: StepFs, what: string): Steps<void> {
    this.#assertThere(what);
    yield* this.#lock(fs, what);
    try {
      this.#assertThere(what);
    } catch (cause) {
      this.#end();
      throw cause;
    }
  }

  /** Before an operation after which the handle is another one, or none. */
  *#beginLast(fs: StepFs, what: string): Steps<void> {
    if (this.#users > 0) {
      throw new MisuseError(`Cannot ${what} "${this.path}" inside withFile: it is in use`);
    }
    yield* this.#begin(fs, what);
  }

  *#lock(fs: StepFs, what: string): Steps<void> {
    if (this.#busy) {
      if (fs.colour === "sync") {
        throw new MisuseError(
          `Cannot ${what} "${this.path}" now: an asynchronous operation on it has not ended`,
        );
      }
      yield* settled(new Promise<void>((resolve) => this.#waiting.push(resolve)));
    }
    this.#busy = true;
    this.entry.inUse = true;
  }

  /** After an operation. */
  #end(): void {
    const next = this.#waiting.shift();
    // Stays busy: whoever comes in this tick is behind.
    if (next !== undefined) return next();
    this.#busy = false;
    this.#rest();
  }

  #rest(): void {
    if (this.#busy || this.#users > 0) return;
    this.entry.inUse = false;
    if (!this.#disposeWhenIdle || this.#ended !== undefined) return;
    runSync(this.dispose(new StepFs(this.adapter, "sync")));
  }

  /** Throws unless the file is there as far as the registry knows. */
  #assertThere(what: string): void {
    if (this.#ended !== undefined || this.#disposeWhenIdle) {
      throw new MisuseError(
        `Cannot ${what} "${this.path}": the handle was ${this.#ended ?? "disposed"}`,
      );
    }
    const fs = new StepFs(this.adapter, "sync");
    if (!isRegistered(fs, this.entry)) throw this.#gone(what);
  }

  #gone(what: string): CrashSafeError {
    return this.#failure(
      what,
      "ENOENT",
      `The tempfile with id ${this.entry.id} wasn't available anymore`,
    );
  }

  #failure(operation: string, code: string, why: string): CrashSafeError {
    return new CrashSafeError(`Cannot ${operation} "${this.path}": ${why}`, {
      code,
      operation,
      path: this.path,
    });
  }
}

/**
 * The temporary file next to a target: made exclusively under a name nobody can guess, never through
 * a symbolic link, on the target's own file system because it is in its directory.
 */

import { basename, dirname } from "node:path";
import type { FileStat } from "../base/fs_adapter.ts";
import { CrashSafeError } from "../base/errors.ts";
import { failedWith, type OpenFile, type StepFs } from "../base/step_fs.ts";
import type { Steps } from "../base/steps.ts";
import type { DigestStream } from "../hash/digest.ts";
import type { TempEntry } from "../base/process_state.ts";
import { forgetTemp, identifyTemp, registerTemp } from "../scratch/registry.ts";
import { type TempClass, tempName } from "../scratch/temp_names.ts";

/** A temporary file that is open for writing. */
export interface TempSibling extends OpenFile {
  /** As it was made: who we are, and which inode is ours. */
  readonly made: FileStat;
  /** Its place in the registry. */
  readonly entry: TempEntry;
}

/** What a fresh temporary file depends on. */
export interface SiblingOptions {
  /** Permission bits before the umask. */
  readonly mode: number;
  /** Makes the directory when it is missing. */
  readonly makeParents?: ((fs: StepFs, dir: string) => Steps<unknown>) | undefined;
  /** Whether only the end of the process may remove it. */
  readonly inUse: boolean;
  /** Empty directories above it go with it, up to this one. */
  readonly boundary?: string | undefined;
  /** Also to be read. */
  readonly access?: "write" | "read-write";
}

/**
 * Makes the temporary sibling of `target`. Where a lock costs microseconds, the file is locked from its first moment until after its
 * commit, and its name says so (class l): whoever gets that lock has proof that the writer is dead. Between the open and the lock a sweep
 * may have taken it for a dead one's: then the lock is refused, or the file has no name any more, and another name is tried.
 */
export function* createSibling(
  fs: StepFs,
  target: string,
  options: SiblingOptions,
): Steps<TempSibling> {
  const dir = dirname(target);
  const prefix = dir.endsWith("/") ? dir : `${dir}/`;
  let tempClass: TempClass = locksAreQuick(fs) ? "l" : "u";
  for (let attempt = 1;; attempt++) {
    const path = prefix + tempName(basename(target), tempClass, fs.adapter.process.random);
    const entry = registerTemp(fs, path, options);
    try {
      const file = yield* fs.open(path, {
        access: options.access ?? "write",
        create: "exclusive",
        noFollow: true,
        mode: options.mode,
        lockable: tempClass === "l",
      });
      const made = yield* claim(fs, file, tempClass, entry);
      if (made === "no locks here") tempClass = "u";
      else if (made !== "swept") return made;
      if (attempt < MOST_ATTEMPTS) continue;
      throw new CrashSafeError(
        `Cannot make a temporary file in "${dir}": ${MOST_ATTEMPTS} were swept away`,
        { code: "ESTALE", operation: "open", path },
      );
    } catch (cause) {
      forgetTemp(fs, entry);
      if (attempt === MOST_ATTEMPTS) throw cause;
      // ESTALE: swept between the two opens of a runtime that needs two.
      if (failedWith(cause, "EEXIST", "ESTALE")) continue;
      if (options.makeParents === undefined || !failedWith(cause, "ENOENT")) throw cause;
    }
    try {
      yield* options.makeParents(fs, dir);
    } catch (cause) {
      // A remover took a directory that we had just made; every round is another chance.
      if (!failedWith(cause, "ENOENT")) throw cause;
    }
  }
}

/** Closes and unlinks. Answers the path when the file is still there, and hides no first error. */
export function* discardSibling(
  fs: StepFs,
  temp: OpenFile & { readonly entry: TempEntry },
): Steps<string | undefined> {
  try {
    yield* fs.close(temp);
  } catch {
    // The file goes now: whatever its close could not write is not wanted.
  }
  try {
    yield* fs.unlink(temp.path);
  } catch (cause) {
    // Still registered: the end of the process tries again.
    if (!failedWith(cause, "ENOENT")) return temp.path;
  }
  forgetTemp(fs, temp.entry);
  return undefined;
}

/** What takes the chunks of a source. */
export interface Sink {
  /** Takes all of `chunk`, which must not change until this is done. */
  write(chunk: Uint8Array): Steps<void>;
}

/** The writing end of a temporary file: loops on short writes, counts, and hashes in passing. */
export class SiblingSink implements Sink {
  /** Bytes written so far. */
  bytes = 0;
  readonly #fs: StepFs;
  readonly #temp: OpenFile;
  readonly #digest: DigestStream | undefined;
  readonly #report: ((bytes: number) => void) | undefined;
  #reportedAt = -Infinity;

  constructor(
    fs: StepFs,
    temp: OpenFile,
    digest: DigestStream | undefined,
    report?: (bytes: number) => void,
  ) {
    this.#fs = fs;
    this.#temp = temp;
    this.#digest = digest;
    this.#report = report;
  }

  /** Writes all of `chunk`, which must not change until this is done. */
  *write(chunk: Uint8Array): Steps<void> {
    let rest = chunk;
    let hashed = this.#digest === undefined;
    while (rest.byteLength > 0) {
      const writing = this.#fs.beginWrite(this.#temp, rest);
      // The hash runs on this thread while the system writes on another.
      if (!hashed) this.#digest?.update(chunk);
      hashed = true;
      const written = yield* writing.join();
      if (written <= 0) throw this.#noProgress();
      this.bytes += written;
      rest = rest.subarray(written);
    }
    if (this.#report !== undefined && performance.now() - this.#reportedAt >= REPORT_EVERY_MS) {
      this.#reportedAt = performance.now();
      this.#report(this.bytes);
    }
  }

  /**
   * Takes the whole content of an open file of `size` bytes by sharing its blocks. Answers false, having done nothing,
   * where the file system has no such thing, or the bytes have to pass by for their digest.
   */
  *clone(file: OpenFile, size: number): Steps<boolean> {
    if (this.#digest !== undefined || this.bytes > 0 || size === 0) return false;
    if (!this.#fs.adapter.capabilities.clone) return false;
    if (!(yield* this.#fs.clone(file, this.#temp))) return false;
    this.bytes = (yield* this.#fs.fstat(this.#temp)).size;
    return true;
  }

  // POSIX promises at least one byte or an error; a file system that keeps neither must not hang us.
  #noProgress(): CrashSafeError {
    return new CrashSafeError(`Cannot write "${this.#temp.path}": it takes no more bytes`, {
      code: "NoProgress",
      operation: "write",
      path: this.#temp.path,
    });
  }
}

const MOST_ATTEMPTS = 16;
const REPORT_EVERY_MS = 40;

/** The helper program would take longer than the write. */
function locksAreQuick({ adapter: { capabilities } }: StepFs): boolean {
  return capabilities.flock === "native" || capabilities.flock === "ffi";
}

/** Locks a fresh file of class l, and learns which inode it is. Whatever is no use is gone afterwards. */
function* claim(
  fs: StepFs,
  file: OpenFile,
  tempClass: TempClass,
  entry: TempEntry,
): Steps<TempSibling | "swept" | "no locks here"> {
  let outcome: "swept" | "no locks here" = "swept";
  try {
    if (tempClass === "u" || (yield* fs.flock(file, "exclusive"))) {
      const made = yield* fs.fstat(file);
      // Nobody but a sweep knows the name, and a sweep unlinks.
      if (made.nlink > 0) {
        identifyTemp(fs, entry, made);
        return { ...file, made, entry };
      }
    }
  } catch (cause) {
    if (!failedWith(cause, ...NO_LOCKS)) {
      yield* discardSibling(fs, { ...file, entry });
      throw cause;
    }
    outcome = "no locks here";
  }
  yield* discardSibling(fs, { ...file, entry });
  return outcome;
}

/** What flock(2) answers on a file system that has no locks. */
const NO_LOCKS = ["ENOLCK", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EINVAL"] as const;

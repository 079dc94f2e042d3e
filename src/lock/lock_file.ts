/**
 * A lock file: opened without changing it, locked, and looked at again.
 *
 * Lock files are never deleted by us (whoever unlinks one while another opens it makes two locks of one), but others may do so. So
 * after each lock the handle's inode must be the one that the path names, and have a name; else everything begins anew.
 */

import { CrashSafeError } from "../base/errors.ts";
import type { FileStat, LockKind, OpenOptions } from "../base/fs_adapter.ts";
import { makeDirs } from "../base/directories.ts";
import { isRegular, sameInode } from "../base/file_types.ts";
import { failedWith, type OpenFile, type StepFs } from "../base/step_fs.ts";
import type { Steps } from "../base/steps.ts";
import { dirname } from "node:path";

/** Where a lock is, and how its file comes about. */
export interface LockPlace {
  readonly path: string;
  /** Make the directory when it is missing. */
  readonly createParents: boolean;
}

/** Opens the file for locking; makes it when it is missing. One that may only be read can be locked as well. */
export function* openLockFile(fs: StepFs, { path, createParents }: LockPlace): Steps<OpenFile> {
  const ways: OpenOptions[] = [
    { access: "read-write", create: "if-missing", mode: 0o666 },
    // Without O_CREAT: fs.protected_regular forbids it for a file of somebody else in a sticky directory (proc(5)).
    { access: "read-write" },
    { access: "read" },
  ];
  let made = !createParents;
  let first: unknown;
  for (let way = 0;;) {
    try {
      return yield* fs.open(path, { ...ways[way], noFollow: true, lockable: true } as OpenOptions);
    } catch (cause) {
      first ??= cause;
      if (failedWith(cause, "ENOENT") && !made && way === 0) {
        made = true;
        yield* makeDirs(fs, dirname(path));
        first = undefined;
        continue;
      }
      const readable = failedWith(cause, "EACCES", "EPERM", "EROFS", "ERR_ACCESS_DENIED");
      if (!readable || ++way === ways.length) throw first;
    }
  }
}

/** Takes the lock, or answers false when somebody else has it. */
export function* tryFlock(fs: StepFs, file: OpenFile, kind: LockKind): Steps<boolean> {
  try {
    return yield* fs.flock(file, kind);
  } catch (cause) {
    if (!failedWith(cause, "ENOLCK", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EINVAL", "EBADF")) {
      throw cause;
    }
    const { code } = cause;
    throw new CrashSafeError(
      `Cannot lock "${file.path}": its file system answers ${code} to flock(2), nothing is locked`,
      { code, operation: "flock", path: file.path, cause: cause.cause },
    );
  }
}

/** The inode of a file that its path still names; undefined when the path names something else by now. */
export function* namedInode(fs: StepFs, file: OpenFile): Steps<FileStat | undefined> {
  const ours = yield* fs.fstat(file);
  if (!isRegular(ours)) {
    throw new CrashSafeError(`Cannot lock "${file.path}": it is not a regular file`, {
      code: "NotRegular",
      operation: "flock",
      path: file.path,
    });
  }
  if (ours.nlink === 0) return undefined;
  const there = yield* fs.lstat(file.path);
  return there !== undefined && sameInode(ours, there) ? ours : undefined;
}

/** Writes the line that says who holds the lock. A file that may not be written keeps what it says. */
export function* writeHolder(fs: StepFs, file: OpenFile, holder: string): Steps<void> {
  try {
    yield* fs.writeAt(file, new TextEncoder().encode(`${holder}\n`), 0);
  } catch {
    // Who holds the lock holds it without a line as well; nobody relies on what it says.
  }
}

/** What the file says about its holder: the first line, what can be printed of it. */
export function* readHolder(fs: StepFs, file: OpenFile): Steps<string | undefined> {
  try {
    const buffer = new Uint8Array(1024);
    const count = yield* fs.readAt(file, buffer, 0);
    const [line = ""] = new TextDecoder().decode(buffer.subarray(0, count)).split("\n");
    // deno-lint-ignore no-control-regex
    const printable = line.replace(/[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]/g, "").trim();
    return printable === "" ? undefined : printable.slice(0, 200);
  } catch {
    // It is a courtesy in an error message.
    return undefined;
  }
}

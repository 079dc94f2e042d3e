/**
 * Temporary directories that anybody can prove dead. The layout is podman's, the order of the steps is not (containers/storage makes the lock file
 * and then locks it: whoever comes in between takes it for a dead one's).
 *
 *     ROOT/
 *     ├── .new-<id>          a lock file being born: made, locked, then given its real name
 *     ├── .lock.<id>.cs1u    the same where a lock takes a process of its own (flock(1)): unlocked for so long that only its age says it is dead
 *     ├── lock-<id>          locked with flock(2) as long as its owner lives
 *     └── temp-dir-<id>/     0700, the owner's
 *         ├── 0-<name>       a deletion staged: renamed in here
 *         ├── 1-addition     an addition staged: to be renamed or linked out of here
 *         └── .gone-…        removed half-way
 *
 * 1. A lock file is born locked: made as `.new-<id>`, locked, looked at, linked to `lock-<id>`, and only then unlinked as `.new-<id>`. So nobody ever sees an
 *    unlocked `lock-<id>` of a living process. It is published by link, never by a rename: two owners of one name cannot be.
 * 2. The directory is made after its lock and removed before it. A directory without a lock is dead.
 * 3. A lock file is unlinked only by who holds its lock, while holding it.
 * 4. A recoverer opens `lock-<id>` by its path and trusts no listing. It locks without waiting, and looks whether the path still names what it has
 *    locked. Busy: alive. Missing: it publishes a born-locked one of its own first; if somebody is quicker, it starts over.
 * 5. An id is 26 characters of base32, drawn once, never used again. Names of any other shape are left alone and reported.
 *
 * What a crash can leave, and what a recovery makes of it:
 *
 *     .new-<id>                             unlinked
 *     .lock.<id>.cs1u                       unlinked when it is a quarter of an hour old
 *     .new-<id> = lock-<id>                 both unlinked
 *     lock-<id>                             unlinked
 *     lock-<id>, temp-dir-<id> and its tree the tree removed, then the lock
 *     temp-dir-<id> (a power cut took the lock)  locked anew, removed, unlocked
 */

import type { LockKind } from "../base/fs_adapter.ts";
import { closeQuietly } from "../base/directories.ts";
import { CrashSafeError, explainCode, UnsupportedError } from "../base/errors.ts";
import { failedWith, type OpenFile, type StepFs } from "../base/step_fs.ts";
import type { Steps } from "../base/steps.ts";
import { namedInode, tryFlock } from "../lock/lock_file.ts";
import { randomId, tempClassOf, tempName } from "../scratch/temp_names.ts";

/** What an entry of a root is. */
export interface RootEntry {
  /** "slow": a lock file being born whose name promises no lock. */
  readonly kind: "new" | "slow" | "lock" | "dir";
  readonly id: string;
}

/** Reads a name in a root; undefined for what is not ours. */
export function parseRootName(name: string): RootEntry | undefined {
  const [, prefix, id] = /^(\.new-|lock-|temp-dir-)([a-z2-7]{26})$/.exec(name) ?? [];
  if (prefix === undefined || id === undefined) {
    return name.startsWith(SLOW) && tempClassOf(name) === "u"
      ? { kind: "slow", id: "" }
      : undefined;
  }
  return { kind: prefix === ".new-" ? "new" : prefix === "lock-" ? "lock" : "dir", id };
}

const SLOW = ".lock.";

/** The lock file of an id. */
export function lockPath(root: string, id: string): string {
  return `${root}/lock-${id}`;
}

/** The directory of an id. */
export function dirPath(root: string, id: string): string {
  return `${root}/temp-dir-${id}`;
}

/** Refuses before any effect where nobody could prove anything. */
export function requireFlock({ adapter: { name, capabilities } }: StepFs, root: string): void {
  if (capabilities.flock !== "none") return;
  throw new UnsupportedError(
    "flock",
    `Cannot use temporary directories in "${root}": ${name} has no flock(2) here, nothing was made`,
    { operation: "flock", path: root },
  );
}

/** Publishes a locked `lock-<id>`. Undefined when somebody else has that name. */
export function* bornLocked(fs: StepFs, root: string, id: string): Steps<OpenFile | undefined> {
  for (let attempt = 1; attempt <= MOST_ATTEMPTS; attempt++) {
    const born = `${root}/${bornName(fs)}`;
    let file: OpenFile;
    try {
      file = yield* fs.open(born, {
        access: "read-write",
        create: "exclusive",
        noFollow: true,
        mode: 0o600,
        lockable: true,
      });
    } catch (cause) {
      // Swept between the two opens of a runtime that needs two.
      if (failedWith(cause, "ESTALE", "EEXIST")) continue;
      throw cause;
    }
    const outcome = yield* publishLock(fs, file, lockPath(root, id));
    if (outcome === "published") return { handle: file.handle, path: lockPath(root, id) };
    yield* closeQuietly(fs, file);
    if (outcome === "taken") return undefined;
  }
  throw new CrashSafeError(
    `Cannot lock "${lockPath(root, id)}": ${MOST_ATTEMPTS} new lock files were swept away`,
    { code: "ESTALE", operation: "flock", path: root },
  );
}

const MOST_ATTEMPTS = 16;

/**
 * Recoverers that never rest would take every one of ours where a lock takes milliseconds: such a name promises no lock, as those of temporary files do there.
 */
function bornName({ adapter }: StepFs): string {
  const { random } = adapter.process;
  return adapter.capabilities.flock === "helper"
    ? tempName("lock", "u", random)
    : `.new-${randomId(random)}`;
}

function* publishLock(
  fs: StepFs,
  born: OpenFile,
  path: string,
): Steps<"published" | "taken" | "swept"> {
  let outcome: "published" | "taken" | "swept" = "swept";
  try {
    // Between its open and its lock a recovery may have taken it for a dead one's.
    if ((yield* tryFlock(fs, born, "exclusive")) && (yield* fs.fstat(born)).nlink > 0) {
      outcome = (yield* linked(fs, born, path)) ? "published" : "taken";
    }
    yield* unlinkIfThere(fs, born.path);
    return outcome;
  } catch (cause) {
    // What is left is dead as soon as it is closed, and recognised.
    if (outcome === "published") yield* unlinkQuietly(fs, path);
    yield* unlinkQuietly(fs, born.path);
    yield* closeQuietly(fs, born);
    throw cause;
  }
}

/** link(2); answers false when the name is taken by another file. */
function* linked(fs: StepFs, born: OpenFile, path: string): Steps<boolean> {
  try {
    yield* fs.link(born.path, path);
    return true;
  } catch (cause) {
    // Carried out all the same, and the answer was lost?
    if ((yield* namedInode(fs, { handle: born.handle, path })) !== undefined) return true;
    if (failedWith(cause, "EEXIST")) return false;
    if (failedWith(cause, "EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS")) {
      throw new CrashSafeError(
        `Cannot make the lock file "${path}": its file system has no hard links (${
          explainCode(cause.code)
        }), nothing was made`,
        { code: cause.code, operation: "link", path, cause: cause.cause },
      );
    }
    throw cause;
  }
}

/** Locks the file that `path` names. `"busy"`: its owner lives. `"gone"`: there is no such file. */
export function* lockExisting(
  fs: StepFs,
  path: string,
  kind: LockKind = "exclusive",
): Steps<OpenFile | "busy" | "gone"> {
  for (let attempt = 1; attempt <= MOST_ATTEMPTS; attempt++) {
    let file: OpenFile;
    try {
      file = yield* fs.open(path, { access: "read-write", noFollow: true, lockable: true });
    } catch (cause) {
      if (failedWith(cause, "ENOENT")) return "gone";
      if (failedWith(cause, "ESTALE")) continue;
      throw cause;
    }
    try {
      if (!(yield* tryFlock(fs, file, kind))) {
        yield* closeQuietly(fs, file);
        return "busy";
      }
      if ((yield* namedInode(fs, file)) !== undefined) return file;
    } catch (cause) {
      yield* closeQuietly(fs, file);
      throw cause;
    }
    // Another file has the name by now, or none.
    yield* closeQuietly(fs, file);
  }
  return "busy";
}

/** unlink(2); a missing name is as good. */
export function* unlinkIfThere(fs: StepFs, path: string): Steps<void> {
  try {
    yield* fs.unlink(path);
  } catch (cause) {
    if (!failedWith(cause, "ENOENT")) throw cause;
  }
}

function* unlinkQuietly(fs: StepFs, path: string): Steps<void> {
  try {
    yield* fs.unlink(path);
  } catch {
    // The first error is the one to be told.
  }
}

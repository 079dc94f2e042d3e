/**
 * Directories that a write makes, and when their names are durable.
 *
 * A directory that was just made can vanish in a power cut with everything durable below it, until the directory that
 * CONTAINS it is fsynced (fsync(2): "Calling fsync() does not necessarily ensure that the entry in the directory
 * containing the file has also reached disk"). So every directory that this realm made is remembered until then, and
 * a durable write below it, whoever made it, syncs first.
 */

import { dirname } from "node:path";
import { pathKey } from "./paths.ts";
import { type Begun, failedWith, type OpenFile, type StepFs } from "./step_fs.ts";
import type { Steps } from "./steps.ts";

/** Makes a directory and what is missing above it. One that appears meanwhile is as good. */
export function* makeDirs(fs: StepFs, dir: string, mode = 0o777): Steps<void> {
  const missing: string[] = [];
  let at = dir;
  while (!(yield* makeDirBelow(fs, at, mode))) {
    missing.push(at);
    at = dirname(at);
  }
  for (const below of missing.reverse()) {
    yield* makeDir(fs, below, mode);
  }
}

/**
 * Makes the names of all remembered directories at or above `dir` durable.
 * Answers `false` where the file system cannot fsync a directory.
 */
export function* syncMadeDirs(fs: StepFs, dir: string): Steps<boolean> {
  const { undurableDirs } = fs.state;
  let durable = true;
  if (undurableDirs.size === 0) return durable;
  for (let at = pathKey(dir), up = dirname(at); at !== up; at = up, up = dirname(at)) {
    const mark = undurableDirs.get(at);
    if (mark === undefined) continue;
    const container = yield* fs.openDir(up);
    try {
      durable = (yield* fsyncDirIfPossible(fs, container)) && durable;
    } finally {
      yield* closeQuietly(fs, container);
    }
    // Made anew while we synced? Then the sync says nothing about it.
    if (undurableDirs.get(at) === mark) undurableDirs.delete(at);
  }
  return durable;
}

/** Whether so many directories wait to become durable that even an undemanding write should help. */
export function tooManyUndurable(fs: StepFs): boolean {
  return fs.state.undurableDirs.size > MOST_REMEMBERED;
}

/** Fsyncs a directory. Answers `false` where the file system has no such thing. */
export function* fsyncDirIfPossible(fs: StepFs, dir: OpenFile): Steps<boolean> {
  try {
    yield* fs.fsyncDir(dir);
    return true;
  } catch (cause) {
    if (failedWith(cause, "EINVAL", "ENOTSUP", "EOPNOTSUPP", "ENOSYS")) return false;
    throw cause;
  }
}

/** Closes a handle opened for reading or syncing only: nothing of ours can be lost in its close. */
export function* closeQuietly(fs: StepFs, dir: OpenFile): Steps<void> {
  try {
    yield* fs.closeDir(dir);
  } catch {
    // Nobody needs to notice: no data was written through this handle.
  }
}

/** Waits for the end of a close that nobody needs to notice either. */
export function* joinQuietly(begun: Begun<void>): Steps<void> {
  try {
    yield* begun.join();
  } catch {
    // Nothing was written through that handle.
  }
}

/** Bounds the memory of a program that makes directories without ever asking for durability. */
const MOST_REMEMBERED = 10_000;

/** Answers `false` when the directory above is missing too. */
function* makeDirBelow(fs: StepFs, dir: string, mode: number): Steps<boolean> {
  try {
    yield* makeDir(fs, dir, mode);
    return true;
  } catch (cause) {
    if (failedWith(cause, "ENOENT") && dirname(dir) !== dir) return false;
    throw cause;
  }
}

/**
 * Makes one directory, and remembers it before it exists: a durable write may slip in as soon as it does. Answers false for a name
 * that is taken.
 */
export function* makeDir(fs: StepFs, dir: string, mode = 0o777): Steps<boolean> {
  const { state } = fs;
  const key = pathKey(dir);
  const before = state.undurableDirs.get(key);
  const mark = state.nextMark++;
  state.undurableDirs.set(key, mark);
  try {
    yield* fs.mkdir(dir, mode);
    return true;
  } catch (cause) {
    // Made a moment ago, perhaps by another process that has not synced it. Count it as ours.
    if (failedWith(cause, "EEXIST")) return false;
    if (state.undurableDirs.get(key) === mark) {
      if (before === undefined) state.undurableDirs.delete(key);
      else state.undurableDirs.set(key, before);
    }
    throw cause;
  }
}

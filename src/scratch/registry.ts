/**
 * The registry of temporary files: what is to be removed when this process ends, or at once by `cleanupTempFiles()`.
 *
 * 1. An entry is there before the open of its file is issued, and goes in the tick of the commit. So whoever cleans up never meets a
 *    half-known file.
 * 2. Ids are never used again. Who holds an id whose entry is gone finds out, instead of touching a stranger's file.
 * 3. An entry in use is skipped by whoever lets the process go on; one that ends it takes all.
 * 4. Only what lstat shows to be the very file that was registered is removed: its name may be another process's by now.
 * 5. Entries are the realm's own. A worker that has installed signal handlers tells the main thread of its entries (signals.ts).
 */

import { dirname } from "node:path";
import type { FileStat } from "../base/fs_adapter.ts";
import { sameInode } from "../base/file_types.ts";
import type { ProcessState, TempEntry } from "../base/process_state.ts";
import { StepFs } from "../base/step_fs.ts";
import { runSync, type Steps } from "../base/steps.ts";

/** Registers a file that is about to be made. */
export function registerTemp(
  fs: StepFs,
  path: string,
  options: { readonly boundary?: string | undefined; readonly inUse: boolean },
): TempEntry {
  const { state, adapter } = fs;
  const entry: TempEntry = {
    id: state.nextTempId++,
    path,
    adapter,
    pid: adapter.process.pid,
    boundary: options.boundary,
    inode: undefined,
    inUse: options.inUse,
  };
  state.temps.set(entry.id, entry);
  return entry;
}

/** Notes which inode the file is. */
export function identifyTemp({ state }: StepFs, entry: TempEntry, { dev, ino }: FileStat): void {
  entry.inode = { dev, ino };
  state.announce?.({
    id: entry.id,
    path: entry.path,
    boundary: entry.boundary,
    inode: entry.inode,
  });
}

/** The file is not temporary any more, or gone. */
export function forgetTemp({ state }: StepFs, entry: TempEntry): void {
  if (state.temps.delete(entry.id)) state.announce?.({ id: entry.id });
}

/** Whether nobody has cleaned the file up. */
export function isRegistered({ state }: StepFs, entry: TempEntry): boolean {
  return state.temps.get(entry.id) === entry;
}

/**
 * Removes registered files, and the parents that became empty. Answers the paths removed. A file that cannot be removed stays registered.
 *
 * @param which `"idle"`: those of this realm that nobody is using. `"all"`: everything of this process; it ends now.
 */
export function cleanUp(state: ProcessState, which: "idle" | "all"): readonly string[] {
  const removed: string[] = [];
  const attempt = (entry: TempEntry): boolean => {
    // A forked copy of our memory would have another process id.
    if (entry.pid !== entry.adapter.process.pid) return false;
    if (which === "idle" && entry.inUse) return false;
    try {
      if (runSync(removeTemp(new StepFs(entry.adapter, "sync"), entry))) removed.push(entry.path);
      return true;
    } catch {
      // Whoever calls us is ending, or can call again: the entry stays.
      return false;
    }
  };
  for (const entry of [...state.temps.values()]) {
    if (attempt(entry) && state.temps.delete(entry.id)) state.announce?.({ id: entry.id });
  }
  if (which === "idle") return removed;
  for (const [key, entry] of [...state.foreignTemps]) {
    if (attempt(entry)) state.foreignTemps.delete(key);
  }
  return removed;
}

/** Removes one file and its empty parents. Answers false when the name is not this file's any more. */
export function* removeTemp(fs: StepFs, entry: TempEntry): Steps<boolean> {
  // Not identified: it was never made, or is being made in this moment under a name that only we know.
  if (entry.inode === undefined) return false;
  const there = yield* fs.lstat(entry.path);
  if (there === undefined || !sameInode(there, entry.inode as FileStat)) return false;
  yield* fs.unlink(entry.path);
  if (entry.boundary !== undefined) yield* removeEmptyParents(fs, entry.path, entry.boundary);
  return true;
}

/** Removes the directories above `path` that are empty, below `boundary`. */
export function* removeEmptyParents(fs: StepFs, path: string, boundary: string): Steps<void> {
  for (let dir = dirname(path); isBelow(dir, boundary); dir = dirname(dir)) {
    try {
      yield* fs.rmdir(dir);
    } catch {
      // Not empty, or somebody else was quicker: from here on up it is not ours.
      return;
    }
  }
}

/** Whether a directory is strictly inside another one, by their names. */
export function isBelow(dir: string, boundary: string): boolean {
  const end = boundary.endsWith("/") ? boundary : `${boundary}/`;
  return dir.startsWith(end) && dir.length > end.length;
}

/**
 * Writes that end at the same time share the fsync of their directory.
 *
 * A write is durable after an fsync of its directory that BEGAN after its commit; one that is under way may have looked at the directory
 * before. So who comes while one is under way waits for the next one, together with all others who come until it begins. Alone, a write
 * does what it always does. Sharing is for one realm, one adapter and one directory: the inode, not the name, is compared.
 */

import { fsyncDirIfPossible } from "../base/directories.ts";
import type { DirSync } from "../base/process_state.ts";
import type { OpenFile, StepFs } from "../base/step_fs.ts";
import { settled, type Steps } from "../base/steps.ts";

/** Makes the names in a directory durable that are there now. Answers false where the file system has no such thing. */
export function* syncDirectory(fs: StepFs, dir: OpenFile): Steps<boolean> {
  // A synchronous write waits for nobody.
  if (fs.colour === "sync") return yield* fsyncDirIfPossible(fs, dir);
  const { dirSyncs } = fs.state;
  const last = dirSyncs.get(dir.path);
  if (last === undefined) return yield* lead(fs, dir, undefined);
  // In this tick the other one's directory is open, and nobody can begin or end.
  if (last.adapter !== fs.adapter || !fs.areSameNow(dir, last.dir)) {
    return yield* fsyncDirIfPossible(fs, dir);
  }
  if (last.begun) return yield* lead(fs, dir, last);
  return yield* settled(last.outcome);
}

/** Does the fsync for everybody who joins until it begins. */
function* lead(fs: StepFs, dir: OpenFile, before: DirSync | undefined): Steps<boolean> {
  const { dirSyncs } = fs.state;
  let resolve!: (durable: boolean) => void;
  let reject!: (cause: unknown) => void;
  const outcome = new Promise<boolean>((done, fail) => {
    resolve = done;
    reject = fail;
  });
  // Perhaps nobody else waits for it.
  outcome.then(undefined, () => {});
  const sync: DirSync = { adapter: fs.adapter, dir, outcome, begun: before === undefined };
  dirSyncs.set(dir.path, sync);
  try {
    if (before !== undefined) {
      // How it ended is the business of those who joined it.
      yield* settled(before.outcome.then(() => {}, () => {}));
      sync.begun = true;
    }
    const durable = yield* fsyncDirIfPossible(fs, dir);
    resolve(durable);
    return durable;
  } catch (cause) {
    reject(cause);
    throw cause;
  } finally {
    if (dirSyncs.get(dir.path) === sync) dirSyncs.delete(dir.path);
  }
}

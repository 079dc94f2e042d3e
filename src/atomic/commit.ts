/**
 * The commit point. One system call decides; when it fails, the file system is asked what happened, because a
 * network file system can carry out a rename or link and lose the answer (rename(2), link(2): BUGS).
 */

import type { FileStat } from "../base/fs_adapter.ts";
import { sameInode } from "../base/file_types.ts";
import { failedWith, type StepFs } from "../base/step_fs.ts";
import type { Steps } from "../base/steps.ts";
import { durabilityUnknown } from "./failures.ts";
import { forgetTemp } from "../scratch/registry.ts";
import type { TempSibling } from "./temp_sibling.ts";
import type { Turn } from "./write_queue.ts";

/** Publishes `temp` as `path`. Answers the temporary name if that is still there as a second one. */
export function* commit(
  fs: StepFs,
  temp: TempSibling,
  path: string,
  existing: "replace" | "fail",
  turn: Turn,
): Steps<string | undefined> {
  /** In the tick of the commit: nobody cleans up a published file. */
  const learn = (): void => {
    if (existing === "replace") forgetTemp(fs, temp.entry);
    turn.committed();
  };
  for (let attempt = 1;; attempt++) {
    turn.assertCurrent();
    try {
      if (existing === "fail") yield* fs.commitLink(temp.path, path, learn);
      else yield* fs.commitRename(temp.path, path, learn);
    } catch (cause) {
      const passes = failedWith(cause, ...fs.adapter.transientRenameErrors);
      if (passes && attempt < MOST_ATTEMPTS) {
        // Windows: somebody has the file open; never delete-then-rename.
        yield* fs.sleep(Math.min(2 ** attempt, LONGEST_PAUSE_MS));
        continue;
      }
      yield* requireCommitted(fs, temp, path, cause);
      learn();
    }
    return existing === "fail" ? yield* dropFirstName(fs, temp) : undefined;
  }
}

/** About one and a half seconds in all, as long as a virus scanner takes. */
const MOST_ATTEMPTS = 20;
const LONGEST_PAUSE_MS = 100;

/** Returns when the failed call was carried out all the same; else throws what is true. */
function* requireCommitted(
  fs: StepFs,
  temp: TempSibling,
  path: string,
  cause: unknown,
): Steps<void> {
  let target: FileStat | undefined;
  let ours: FileStat | undefined;
  try {
    target = yield* fs.lstat(path);
    ours = yield* fs.lstat(temp.path);
  } catch {
    // Who cannot look cannot tell. The first error says more than this one.
    throw durabilityUnknown(path, cause, "unknown");
  }
  if (target !== undefined && sameInode(target, temp.made)) return;
  if (ours !== undefined && sameInode(ours, temp.made)) throw cause;
  // Our name is gone and the target is not ours: carried out, and replaced by somebody since? Or lost?
  throw durabilityUnknown(path, cause, "unknown");
}

function* dropFirstName(fs: StepFs, temp: TempSibling): Steps<string | undefined> {
  try {
    yield* fs.unlink(temp.path);
    forgetTemp(fs, temp.entry);
    return undefined;
  } catch {
    // The receipt tells: the file is published and has a second name.
    return temp.path;
  }
}

/**
 * The second half of the publish protocol, from a file that is whole to a name that is durable: steps 4 to 8 of publish.ts. A failure
 * before the commit leaves the temporary file to the caller: a publish discards it, a handle gives it back.
 */

import { dirname } from "node:path";
import { throwIfAborted } from "../base/abort.ts";
import {
  closeQuietly,
  fsyncDirIfPossible,
  syncMadeDirs,
  tooManyUndurable,
} from "../base/directories.ts";
import type { OpenFile, StepFs } from "../base/step_fs.ts";
import type { Steps } from "../base/steps.ts";
import { beforeCommit } from "./admission.ts";
import { commit } from "./commit.ts";
import type { Destination } from "./destination.ts";
import { syncDirectory } from "./directory_sync.ts";
import { cannotSyncDirectory, durabilityUnknown } from "./failures.ts";
import { setMetadata } from "./metadata.ts";
import type { Durability, ResolvedOptions } from "./options.ts";
import type { Receipt } from "./receipt.ts";
import type { TempSibling } from "./temp_sibling.ts";
import type { Turn } from "./write_queue.ts";

/** A file that is published, and what is left to do for it. */
export interface Committed {
  readonly receipt: Receipt;
  /** To be synced. */
  readonly dir: OpenFile | undefined;
  /** The old file, to be let go when the new name is durable. */
  readonly pinned: OpenFile | undefined;
}

/** Metadata, fsync, and the commit point. */
export function* commitTemp(
  fs: StepFs,
  temp: TempSibling,
  { path, old }: Destination,
  o: ResolvedOptions,
  turn: Turn,
  filled: Pick<Receipt, "bytes" | "hash">,
): Steps<Committed> {
  const metadata = yield* setMetadata(fs, temp, old, o);
  if (turn.durability !== "none") yield* fs.fsync(temp);
  yield* beforeCommit(fs);
  const { dir, durability } = yield* prepareDirectory(fs, dirname(path), turn.durability, o);
  const pinned = old && (yield* fs.pin(path, old));
  try {
    throwIfAborted(o.signal);
    const receipt: Receipt = { path, ...filled, ...metadata, durability };
    const leftover = yield* commit(fs, temp, path, o.existing, turn);
    return { receipt: leftover === undefined ? receipt : { ...receipt, leftover }, dir, pinned };
  } catch (cause) {
    for (const file of [dir, pinned]) if (file !== undefined) yield* closeQuietly(fs, file);
    throw cause;
  }
}

/** Everything about the directory that can fail before the commit. */
export function* prepareDirectory(
  fs: StepFs,
  path: string,
  wanted: Durability,
  o: ResolvedOptions,
): Steps<{ readonly dir: OpenFile | undefined; readonly durability: Durability }> {
  const full = wanted === "full" && fs.adapter.capabilities.fsyncDir;
  let durable = full;
  if (full || (tooManyUndurable(fs) && fs.adapter.capabilities.fsyncDir)) {
    durable = (yield* syncMadeDirs(fs, path)) && full;
  }
  if (!full) return { dir: undefined, durability: wanted === "full" ? "file" : wanted };
  const dir = yield* fs.openDir(path);
  if (o.requireDurability) {
    try {
      durable = (yield* fsyncDirIfPossible(fs, dir)) && durable;
      if (!durable) throw cannotSyncDirectory(path);
    } catch (cause) {
      yield* closeQuietly(fs, dir);
      throw cause;
    }
  }
  return { dir, durability: durable ? "full" : "file" };
}

/** After the commit: nothing here may say "not published". */
export function* makeNameDurable(
  fs: StepFs,
  temp: OpenFile,
  { dir, receipt, pinned }: Committed,
): Steps<Receipt> {
  let failure: unknown;
  try {
    yield* fs.close(temp);
  } catch (cause) {
    failure = cause;
  }
  let durable = true;
  if (dir !== undefined) {
    try {
      durable = yield* syncDirectory(fs, dir);
    } catch (cause) {
      failure ??= cause;
    }
    yield* closeQuietly(fs, dir);
  }
  if (pinned !== undefined) fs.beginUnpin(pinned);
  if (failure !== undefined) throw durabilityUnknown(receipt.path, failure, true);
  return durable ? receipt : { ...receipt, durability: "file" };
}

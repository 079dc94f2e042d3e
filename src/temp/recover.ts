/** Removing what dead processes left in a root of temporary directories; the rules are those of temp_dir_layout.ts. */

import { chooseAdapter } from "../base/default_adapter.ts";
import { requireSignal, throwIfAborted } from "../base/abort.ts";
import { closeQuietly } from "../base/directories.ts";
import { CrashSafeError, RecoveryError } from "../base/errors.ts";
import type { DirEntry, FsAdapter } from "../base/fs_adapter.ts";
import { absolutePath } from "../base/paths.ts";
import { failedWith, type OpenFile, StepFs } from "../base/step_fs.ts";
import { runAsync, runSync, type Steps } from "../base/steps.ts";
import { removeTree } from "./remove_tree.ts";
import {
  bornLocked,
  dirPath,
  lockExisting,
  lockPath,
  parseRootName,
  requireFlock,
  unlinkIfThere,
} from "./temp_dir_layout.ts";

/**
 * How to recover.
 *
 * @example Only tell
 * ```ts
 * import { type RecoverOptions } from "@crashsafe/fs";
 *
 * const options: RecoverOptions = { dryRun: true };
 * console.log(options.dryRun);
 * ```
 */
export interface RecoverOptions {
  /** Only report: nothing is removed. @default false */
  readonly dryRun?: boolean;
  /** Called after each directory, with how many of how many are done. What it throws ends the recovery. */
  readonly onProgress?: (progress: { readonly done: number; readonly total: number }) => void;
  /** Ends an asynchronous recovery between two directories, with its own reason. */
  readonly signal?: AbortSignal;
  /** The file system. @default the runtime's own */
  readonly adapter?: FsAdapter;
}

/**
 * What a recovery found: absolute paths.
 *
 * @example Nothing to do
 * ```ts
 * import { recoverStaleDirsSync, type RecoveryReport } from "@crashsafe/fs";
 * import { MemoryFs } from "@crashsafe/fs/testing";
 *
 * const report: RecoveryReport = recoverStaleDirsSync("/missing", { adapter: new MemoryFs() });
 * console.log(report.removed.length, report.live.length); // 0 0
 * ```
 */
export interface RecoveryReport {
  /** Directories (or lock files without one) of dead processes: removed, or with `dryRun` to be removed. */
  readonly removed: readonly string[];
  /** Directories whose owner lives, or which somebody else is recovering at this moment. */
  readonly live: readonly string[];
  /** Names that are not ours: never touched. */
  readonly ignored: readonly string[];
  /** What could not be removed, and why. It is tried again by the next recovery. */
  readonly failed: readonly { readonly path: string; readonly error: CrashSafeError }[];
}

/**
 * Removes what dead processes left in a root of `TempDir`: each directory whose lock can be had, then its lock file. A missing root is fine. Living directories
 * are never touched, and neither is anything of another shape. podman locks with fcntl(2), which flock(2) does not see: its ids have another shape and are ignored, but
 * do not share a root with it.
 *
 * @param root The directory that `TempDir.create` was given.
 * @param options Whether to remove, and whom to tell.
 * @returns What was found.
 * @throws {RecoveryError} When the root cannot be read.
 * @throws {UnsupportedError} Without flock(2) nobody can prove who is dead.
 *
 * @example At the start of a program
 * ```ts
 * import { recoverStaleDirs } from "@crashsafe/fs";
 *
 * const { removed, failed } = await recoverStaleDirs("example-root");
 * console.log(removed.length, failed.length); // 0 0
 * ```
 */
export async function recoverStaleDirs(
  root: string | URL,
  options: RecoverOptions = {},
): Promise<RecoveryReport> {
  const adapter = chooseAdapter(options.adapter);
  requireSignal(options.signal);
  const fs = new StepFs(adapter, "async");
  return await runAsync(recover(fs, absolutePath(root, adapter), options));
}

/**
 * {@linkcode recoverStaleDirs}, done when it returns.
 *
 * @param root The directory that `TempDir.create` was given.
 * @param options Whether to remove, and whom to tell.
 * @returns What was found.
 * @throws {RecoveryError} When the root cannot be read.
 *
 * @example Look only
 * ```ts
 * import { recoverStaleDirsSync } from "@crashsafe/fs";
 *
 * console.log(recoverStaleDirsSync("example-root", { dryRun: true }).removed);
 * ```
 */
export function recoverStaleDirsSync(
  root: string | URL,
  options: RecoverOptions = {},
): RecoveryReport {
  const adapter = chooseAdapter(options.adapter);
  requireSignal(options.signal);
  return runSync(recover(new StepFs(adapter, "sync"), absolutePath(root, adapter), options));
}

function* recover(
  fs: StepFs,
  root: string,
  { dryRun = false, onProgress, signal }: RecoverOptions,
): Steps<RecoveryReport> {
  throwIfAborted(signal);
  const removed: string[] = [];
  const live: string[] = [];
  const ignored: string[] = [];
  const failed: RecoveryReport["failed"][number][] = [];
  const entries = yield* listRoot(fs, root);
  if (entries.length > 0) requireFlock(fs, root);
  const born: string[] = [];
  const slow: string[] = [];
  const ids = new Set<string>();
  for (const { name } of entries) {
    const entry = parseRootName(name);
    if (entry === undefined) ignored.push(`${root}/${name}`);
    else if (entry.kind === "new") born.push(`${root}/${name}`);
    else if (entry.kind === "slow") slow.push(`${root}/${name}`);
    else ids.add(entry.id);
  }
  const total = born.length + slow.length + ids.size;
  let done = 0;
  const file = function* (path: string, work: Steps<"removed" | "live" | "gone">): Steps<void> {
    if (fs.colour === "async") throwIfAborted(signal);
    try {
      const outcome = yield* work;
      if (outcome === "removed") removed.push(path);
      if (outcome === "live") live.push(path);
    } catch (error) {
      if (!(error instanceof CrashSafeError)) throw error;
      failed.push({ path, error });
    }
    done++;
    onProgress?.({ done, total });
    // Between two directories others may have the thread.
    if (done % BREATH === 0) yield* fs.sleep(0);
  };
  // Before the locks: it may be the second name of one.
  for (const path of born) yield* file(path, recoverFile(fs, path, dryRun));
  for (const path of slow) yield* file(path, recoverSlow(fs, path, dryRun));
  for (const id of ids) yield* file(dirPath(root, id), recoverId(fs, root, id, dryRun));
  return { removed, live, ignored, failed };
}

const BREATH = 64;

function* listRoot(fs: StepFs, root: string): Steps<readonly DirEntry[]> {
  try {
    return yield* fs.readdir(root);
  } catch (cause) {
    if (failedWith(cause, "ENOENT")) return [];
    if (!(cause instanceof CrashSafeError)) throw cause;
    const { code, operation, path } = cause;
    throw new RecoveryError(
      `Cannot recover "${root}": ${cause.message}, nothing was removed`,
      { code, operation, path, cause: cause.cause },
      [cause],
    );
  }
}

/** A lock file that was never published, or has its real name already. */
function* recoverFile(
  fs: StepFs,
  path: string,
  dryRun: boolean,
): Steps<"removed" | "live" | "gone"> {
  const lock = yield* lockExisting(fs, path);
  if (lock === "gone") return "gone";
  if (lock === "busy") return "live";
  try {
    if (!dryRun) yield* unlinkIfThere(fs, path);
  } finally {
    yield* closeQuietly(fs, lock);
  }
  return "removed";
}

/** A lock file that may be unlocked although its maker lives: flock(1) is on its way. Its age counts as well. */
function* recoverSlow(
  fs: StepFs,
  path: string,
  dryRun: boolean,
): Steps<"removed" | "live" | "gone"> {
  const stat = yield* fs.lstat(path);
  if (stat === undefined) return "gone";
  const ageMs = Date.now() - Number(stat.mtimeNs / 1_000_000n);
  return ageMs < SLOW_MS ? "live" : yield* recoverFile(fs, path, dryRun);
}

/** Nobody waits that long for a lock which nobody else can want. */
const SLOW_MS = 15 * 60_000;

function* recoverId(
  fs: StepFs,
  root: string,
  id: string,
  dryRun: boolean,
): Steps<"removed" | "live" | "gone"> {
  for (let attempt = 1; attempt <= MOST_ATTEMPTS; attempt++) {
    let lock: OpenFile | "busy" | "gone" | undefined = yield* lockExisting(
      fs,
      lockPath(root, id),
    );
    if (lock === "busy") return "live";
    if (lock === "gone") {
      // Its owner has just ended, or a power cut took the lock file.
      if ((yield* fs.lstat(dirPath(root, id))) === undefined) return "gone";
      if (dryRun) return "removed";
      lock = yield* bornLocked(fs, root, id);
      if (lock === undefined) continue;
    }
    try {
      if (!dryRun) yield* removeLocked(fs, root, id);
    } finally {
      yield* closeQuietly(fs, lock);
    }
    return "removed";
  }
  return "live";
}

const MOST_ATTEMPTS = 16;

/** Directory first, then the lock, which is held meanwhile. */
export function* removeLocked(fs: StepFs, root: string, id: string): Steps<void> {
  yield* removeTree(fs, dirPath(root, id));
  yield* unlinkIfThere(fs, lockPath(root, id));
}

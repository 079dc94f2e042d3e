/** Finding and removing temporary files that dead writers left: the calls. */

import { requireSignal, throwIfAborted } from "../base/abort.ts";
import { chooseAdapter } from "../base/default_adapter.ts";
import { type CrashSafeError, MisuseError } from "../base/errors.ts";
import type { FsAdapter } from "../base/fs_adapter.ts";
import { absolutePath } from "../base/paths.ts";
import { StepFs } from "../base/step_fs.ts";
import { runAsync, runSync } from "../base/steps.ts";
import {
  type Found,
  type Orphan,
  type OrphanQuery,
  OrphanWalk,
  type OrphanWriter,
} from "./orphans.ts";

/**
 * Where and what to look for.
 *
 * @example A day old, everywhere below
 * ```ts
 * import { type OrphanOptions } from "@crashsafe/fs";
 *
 * const options: OrphanOptions = { recursive: true, minAgeMs: 86_400_000 };
 * console.log(options.recursive);
 * ```
 */
export interface OrphanOptions {
  /** Look into all directories below, too; symbolic links are not followed. @default false */
  readonly recursive?: boolean;
  /**
   * The age from which a file counts as dead whose name promises no lock (class u, and other programs'). It is a guess: choose it larger than the longest
   * write. Files with a lock do not need it, and it does not harm them.
   * @default such files are never removed
   */
  readonly minAgeMs?: number;
  /** Whose temporary files count as well. @default [] */
  readonly also?: readonly ("oxen" | "aperture")[];
  /** Ends an asynchronous search with its own reason. */
  readonly signal?: AbortSignal;
  /** The file system. @default the runtime's own */
  readonly adapter?: FsAdapter;
}

/**
 * How to sweep.
 *
 * @example Look first
 * ```ts
 * import { type SweepOptions, sweepOrphansSync } from "@crashsafe/fs";
 *
 * const options: SweepOptions = { dryRun: true };
 * console.log(sweepOrphansSync(".", options).removed.length);
 * ```
 */
export interface SweepOptions extends OrphanOptions {
  /** Only report: nothing is removed. An orphan may be the only copy of something. @default false */
  readonly dryRun?: boolean;
  /** Called for every file found, with the sums so far. What it throws ends the sweep. */
  readonly onProgress?: (progress: { readonly found: number; readonly removed: number }) => void;
}

/**
 * What a sweep found.
 *
 * @example What was freed
 * ```ts
 * import { type SweepReport, sweepOrphansSync } from "@crashsafe/fs";
 *
 * const { bytes, failed }: SweepReport = sweepOrphansSync(".", { dryRun: true });
 * console.log(bytes, failed.length);
 * ```
 */
export interface SweepReport {
  /** Removed; with `dryRun`: to be removed. */
  readonly removed: readonly Orphan[];
  /** Left: nobody can tell whether their writers are dead, or they are too young. */
  readonly kept: readonly Orphan[];
  /** Files whose writers live. */
  readonly live: readonly string[];
  /** What could not be looked at or removed, and why. */
  readonly failed: readonly { readonly path: string; readonly error: CrashSafeError }[];
  /** The sizes of what was removed, together. */
  readonly bytes: number;
}

/**
 * Finds the temporary files that dead writers left in a directory. A file whose writer lives is not among them, however old. Nothing is changed (but a lock is tried
 * for a moment).
 *
 * @param dir The directory.
 * @param options Where and what to look for.
 * @returns The files, as they are found.
 * @throws {CrashSafeError} When the directory cannot be read. What cannot be looked at below it is passed over; {@linkcode sweepOrphans} reports it.
 *
 * @example Look what is there
 * ```ts
 * import { findOrphans } from "@crashsafe/fs";
 *
 * for await (const { path, size, owner } of findOrphans(".")) console.log(path, size, owner);
 * ```
 */
export async function* findOrphans(
  dir: string | URL,
  options: OrphanOptions = {},
): AsyncGenerator<Orphan, void, undefined> {
  const { walk, signal } = start(dir, options, "async", false);
  for (;;) {
    throwIfAborted(signal);
    const found = await runAsync(walk.next());
    if (found === undefined) return;
    if (found.kind === "orphan") yield found.orphan;
  }
}

/**
 * {@linkcode findOrphans} as a synchronous iterator.
 *
 * @param dir The directory.
 * @param options Where and what to look for.
 * @returns The files, as they are found.
 * @throws {CrashSafeError} When the directory cannot be read.
 *
 * @example Count them
 * ```ts
 * import { findOrphansSync } from "@crashsafe/fs";
 *
 * console.log([...findOrphansSync(".")].length); // 0
 * ```
 */
export function* findOrphansSync(
  dir: string | URL,
  options: OrphanOptions = {},
): Generator<Orphan, void, undefined> {
  const { walk } = start(dir, options, "sync", false);
  for (;;) {
    const found = runSync(walk.next());
    if (found === undefined) return;
    if (found.kind === "orphan") yield found.orphan;
  }
}

/**
 * Removes the temporary files that dead writers left in a directory: those whose lock can be had; and, with `minAgeMs`, those whose names promise no lock and that
 * are older. A living writer's file and a living closed handle's are never touched, however old.
 *
 * @param dir The directory.
 * @param options Where and what to look for, and whether to remove.
 * @returns What was found.
 * @throws {CrashSafeError} When the directory cannot be read: nothing was removed.
 *
 * @example Once a day
 * ```ts
 * import { sweepOrphans } from "@crashsafe/fs";
 *
 * const { removed, kept, bytes } = await sweepOrphans(".", { recursive: true, dryRun: true });
 * console.log(removed.length, kept.length, bytes);
 * ```
 */
export async function sweepOrphans(
  dir: string | URL,
  options: SweepOptions = {},
): Promise<SweepReport> {
  const { walk, signal, tally } = start(dir, options, "async", options.dryRun !== true);
  for (;;) {
    throwIfAborted(signal);
    const found = await runAsync(walk.next());
    if (found === undefined) return tally.report;
    tally.add(found);
  }
}

/**
 * {@linkcode sweepOrphans}, done when it returns.
 *
 * @param dir The directory.
 * @param options Where and what to look for, and whether to remove.
 * @returns What was found.
 * @throws {CrashSafeError} When the directory cannot be read: nothing was removed.
 *
 * @example At the start of a script
 * ```ts
 * import { sweepOrphansSync } from "@crashsafe/fs";
 *
 * console.log(sweepOrphansSync(".").removed.length);
 * ```
 */
export function sweepOrphansSync(dir: string | URL, options: SweepOptions = {}): SweepReport {
  const { walk, tally } = start(dir, options, "sync", options.dryRun !== true);
  for (;;) {
    const found = runSync(walk.next());
    if (found === undefined) return tally.report;
    tally.add(found);
  }
}

function start(
  dir: string | URL,
  options: SweepOptions,
  colour: "sync" | "async",
  remove: boolean,
): {
  readonly walk: OrphanWalk;
  readonly signal: AbortSignal | undefined;
  readonly tally: Tally;
} {
  const { recursive = false, minAgeMs, also = [], signal, onProgress } = options;
  const adapter = chooseAdapter(options.adapter);
  if (minAgeMs !== undefined && !(typeof minAgeMs === "number" && minAgeMs >= 0)) {
    throw new MisuseError(`minAgeMs must be a number of at least 0, not ${String(minAgeMs)}`);
  }
  const unknown = also.find((writer) => !OTHERS.includes(writer));
  if (unknown !== undefined) {
    throw new MisuseError(`also may be ${OTHERS.join(", ")}, not ${JSON.stringify(unknown)}`);
  }
  requireSignal(signal);
  throwIfAborted(signal);
  const query: OrphanQuery = { recursive, minAgeMs, also, nowMs: Date.now() };
  const walk = new OrphanWalk(
    new StepFs(adapter, colour),
    absolutePath(dir, adapter),
    query,
    remove,
  );
  return { walk, signal, tally: new Tally(remove, onProgress) };
}

const OTHERS: readonly OrphanWriter[] = ["oxen", "aperture"];

class Tally {
  readonly #remove: boolean;
  readonly #onProgress: SweepOptions["onProgress"];
  readonly #removed: Orphan[] = [];
  readonly #kept: Orphan[] = [];
  readonly #live: string[] = [];
  readonly #failed: SweepReport["failed"][number][] = [];
  #bytes = 0;
  #found = 0;

  constructor(remove: boolean, onProgress: SweepOptions["onProgress"]) {
    this.#remove = remove;
    this.#onProgress = onProgress;
  }

  add(found: Found): void {
    this.#found++;
    if (found.kind === "live") this.#live.push(found.path);
    else if (found.kind === "failed") this.#failed.push({ path: found.path, error: found.error });
    else if (this.#remove ? found.removed : found.orphan.removable) {
      this.#removed.push(found.orphan);
      this.#bytes += found.orphan.size;
    } else this.#kept.push(found.orphan);
    this.#onProgress?.({ found: this.#found, removed: this.#removed.length });
  }

  get report(): SweepReport {
    return {
      removed: this.#removed,
      kept: this.#kept,
      live: this.#live,
      failed: this.#failed,
      bytes: this.#bytes,
    };
  }
}

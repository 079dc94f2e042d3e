/** Many files at the price of a few: the calls. */

import { requireSignal, throwIfAborted } from "../base/abort.ts";
import { chooseAdapter } from "../base/default_adapter.ts";
import { CrashSafeError, DurabilityUnknownError, MisuseError } from "../base/errors.ts";
import type { FsAdapter } from "../base/fs_adapter.ts";
import { absoluteFilePath, nameOf } from "../base/paths.ts";
import { joinQuietly } from "../base/directories.ts";
import { type Begun, StepFs } from "../base/step_fs.ts";
import { runAsync, runSync, type Steps } from "../base/steps.ts";
import { dirname } from "node:path";
import { toBytes, type WriteData } from "./data.ts";
import { publishBatch } from "./group_commit.ts";
import { GroupPublishError } from "./group_error.ts";
import { type AtomicWriteOptions, requireCapabilities, resolveOptions } from "./options.ts";
import type { PublishJob } from "./publish.ts";
import type { Receipt } from "./receipt.ts";
import { bytesSource } from "./sources.ts";

/**
 * What a file of a group may have by itself; what is left out is as the call's options say.
 *
 * @example Options of its own
 * ```ts
 * import { type WriteEntry } from "@crashsafe/fs";
 *
 * const entry: WriteEntry = { path: "key.pem", data: "…", mode: 0o600 };
 * console.log(entry.path);
 * ```
 */
export interface WriteEntry
  extends Omit<AtomicWriteOptions, "adapter" | "signal" | "onProgress" | "coalesce"> {
  /** The file to publish. */
  readonly path: string | URL;
  /** Text (as UTF-8) or bytes, which must not change until the promise resolves. */
  readonly data: WriteData;
}

/**
 * Options for all files of a group.
 *
 * @example For all of a group
 * ```ts
 * import { type WriteAllOptions } from "@crashsafe/fs";
 *
 * const options: WriteAllOptions = { parents: "create", signal: AbortSignal.timeout(60_000) };
 * console.log(options.parents);
 * ```
 */
export type WriteAllOptions = Omit<
  AtomicWriteOptions,
  "hash" | "mtime" | "onProgress" | "coalesce"
>;

/**
 * What a group achieved.
 *
 * @example How many batches
 * ```ts
 * import { atomicWriteAllSync, type WriteAllResult } from "@crashsafe/fs";
 * import { MemoryFs } from "@crashsafe/fs/testing";
 *
 * const result: WriteAllResult = atomicWriteAllSync([{ path: "/a", data: "1" }], { adapter: new MemoryFs() });
 * console.log(result.receipts.length, result.batches); // 1 1
 * ```
 */
export interface WriteAllResult {
  /** One for each entry, in order. */
  readonly receipts: readonly Receipt[];
  /** In how many batches: each has at most 512 open files. */
  readonly batches: number;
}

/**
 * Publishes many files, each all or nothing, at a fraction of the price of one after the other: all data of a batch is written and verified, then flushed in one
 * round, then published, then each directory is flushed once. It promises the atomicity of each file, not of the group: a crash can leave some new and
 * some old. Directories must exist, unless `parents` says otherwise.
 *
 * A batch has at most 512 open files. Before the first file of a batch is published a failure publishes nothing of that batch. Where one path occurs twice, the last wins.
 * A symbolic link is followed for each file by itself.
 *
 * What earlier batches have published stays: a GroupPublishError tells of them. An abort, a TypeError for misuse and what iterating the entries throws
 * come as they are and publish nothing of the batch at hand, but do not tell: catch them where more than 512 files are written.
 *
 * @param entries The files; read batch by batch.
 * @param options For all of them.
 * @returns A receipt for each.
 * @throws {PublishError} And all others of `atomicWrite`, when nothing was published.
 * @throws {TypeError} For misuse: nothing of the batch was touched.
 * @throws {GroupPublishError} When some are in place: it tells which, which not, and of which nobody can tell.
 *
 * @example Write the outputs of a build
 * ```ts
 * import { atomicWriteAll } from "@crashsafe/fs";
 * import { mkdtempSync, rmSync } from "node:fs";
 *
 * const dir = mkdtempSync("example-");
 * const names = ["index.html", "app.js", "app.css"];
 * const { receipts, batches } = await atomicWriteAll(
 *   names.map((name) => ({ path: `${dir}/${name}`, data: `content of ${name}` })),
 * );
 * console.log(receipts.length, batches); // 3 1
 * rmSync(dir, { recursive: true });
 * ```
 */
export async function atomicWriteAll(
  entries: Iterable<WriteEntry> | AsyncIterable<WriteEntry>,
  options: WriteAllOptions = {},
): Promise<WriteAllResult> {
  const group = new Group(options, "async");
  const isSync = typeof (entries as Partial<Iterable<WriteEntry>>)[Symbol.iterator] === "function";
  if (isSync) {
    // Without a promise in between: the first batch takes its turns in the call itself.
    for (const entry of entries as Iterable<WriteEntry>) {
      if (!group.add(entry)) await runAsync(group.flushBefore(entry));
    }
  } else {
    for await (const entry of requireEntries(entries)) {
      if (!group.add(entry)) await runAsync(group.flushBefore(entry));
    }
  }
  await runAsync(group.flush());
  return group.result;
}

/**
 * {@linkcode atomicWriteAll}, done when it returns. It never waits: asynchronous writes of the same paths that have not committed yet are overtaken.
 * Where the C library can be reached, many files of one file system are flushed by one syncfs(2), which flushes whatever else is unwritten there, too.
 *
 * @param entries The files; read batch by batch.
 * @param options For all of them.
 * @returns A receipt for each.
 * @throws {GroupPublishError} And all others of {@linkcode atomicWriteAll}.
 *
 * @example Two files in a script
 * ```ts
 * import { atomicWriteAllSync } from "@crashsafe/fs";
 * import { mkdtempSync, rmSync } from "node:fs";
 *
 * const dir = mkdtempSync("example-");
 * atomicWriteAllSync([{ path: `${dir}/a`, data: "1" }, { path: `${dir}/b`, data: "2" }]);
 * rmSync(dir, { recursive: true });
 * ```
 */
export function atomicWriteAllSync(
  entries: Iterable<WriteEntry>,
  options: WriteAllOptions = {},
): WriteAllResult {
  const group = new Group(options, "sync");
  if (typeof (entries as Partial<Iterable<WriteEntry>> | null)?.[Symbol.iterator] !== "function") {
    throw new MisuseError(`Entries must be iterable, not ${nameOf(entries)}`);
  }
  for (const entry of entries) {
    if (!group.add(entry)) runSync(group.flushBefore(entry));
  }
  runSync(group.flush());
  return group.result;
}

function requireEntries(entries: unknown): AsyncIterable<WriteEntry> {
  if (
    typeof (entries as Partial<AsyncIterable<WriteEntry>> | null)?.[Symbol.asyncIterator] ===
      "function"
  ) {
    return entries as AsyncIterable<WriteEntry>;
  }
  throw new MisuseError(`Entries must be iterable, not ${nameOf(entries)}`);
}

/** What is undefined in an entry is the same as not there: it must not widen the mode that was asked for all. */
function given<T extends object>(own: T): Partial<T> {
  const known = Object.entries(own).filter(([, value]) => value !== undefined);
  return Object.fromEntries(known) as Partial<T>;
}

/** Files and directories, each with a descriptor. */
const MOST_OPEN = 512;

class Group {
  readonly #fs: StepFs;
  readonly #adapter: FsAdapter;
  readonly #options: WriteAllOptions;
  readonly #receipts: Receipt[] = [];
  /** Replaced files of the batch before, on their way. */
  readonly #unpinned: Begun<void>[] = [];
  #jobs: PublishJob[] = [];
  #dirs = new Set<string>();
  #batches = 0;

  constructor(options: WriteAllOptions, colour: "sync" | "async") {
    this.#adapter = chooseAdapter(options.adapter);
    requireSignal(options.signal);
    throwIfAborted(options.signal);
    this.#fs = new StepFs(this.#adapter, colour);
    this.#options = options;
  }

  get result(): WriteAllResult {
    return { receipts: this.#receipts, batches: this.#batches };
  }

  /** Answers false when the batch is full, and has not taken the entry then. */
  add(entry: WriteEntry): boolean {
    if (typeof entry !== "object" || entry === null) {
      throw new MisuseError(`An entry must be { path, data }, not ${nameOf(entry)}`);
    }
    const { path, data, ...own } = entry;
    const target = absoluteFilePath(path, this.#adapter);
    const dir = dirname(target);
    const more = this.#dirs.has(dir) ? 1 : 2;
    if (this.#jobs.length + this.#dirs.size + more > MOST_OPEN) return false;
    const { adapter: _, ...shared } = this.#options;
    const options = resolveOptions({ ...shared, ...given(own) }, "require");
    requireCapabilities(this.#adapter, target, options);
    this.#dirs.add(dir);
    this.#jobs.push({ target, source: bytesSource(toBytes(data)), options });
    return true;
  }

  /** Publishes the batch, to make room for an entry. */
  *flushBefore(entry: WriteEntry): Steps<void> {
    yield* this.flush();
    this.add(entry);
  }

  *flush(): Steps<void> {
    const jobs = this.#jobs;
    if (jobs.length === 0) return;
    this.#jobs = [];
    this.#dirs = new Set();
    // Their descriptors count as well.
    for (const unpinned of this.#unpinned.splice(0)) yield* joinQuietly(unpinned);
    try {
      const receipts = yield* publishBatch(this.#fs, jobs, this.#options.signal, this.#unpinned);
      this.#receipts.push(...receipts);
      this.#batches++;
    } catch (cause) {
      throw this.#afterOthers(cause, jobs);
    }
  }

  /** A failure says what is in place of earlier batches, too. */
  #afterOthers(cause: unknown, jobs: readonly PublishJob[]): unknown {
    if (this.#receipts.length === 0 || !(cause instanceof CrashSafeError)) return cause;
    const { code, operation, path } = cause;
    const group = cause instanceof GroupPublishError ? cause : undefined;
    const published = [...this.#receipts, ...(group?.published ?? [])];
    const unknown = group?.unknown ??
      (cause instanceof DurabilityUnknownError ? jobs.map(({ target }) => target) : []);
    const unpublished = group?.unpublished ??
      jobs.map(({ target }) => target).filter((target) => !unknown.includes(target));
    return new GroupPublishError(
      `${cause.message}; ${published.length} files are in place, of earlier batches, too`,
      { code, operation, path, cause },
      published,
      unpublished,
      unknown,
    );
  }
}

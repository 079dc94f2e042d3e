/**
 * The publish protocol.
 *
 *    1. open the source, verify bytes in memory, look at the target       no effect so far
 *    2. create a temporary sibling, write, loop on short writes           \
 *    3. compare the digest                                                 | a failure removes the
 *    4. chown, chmod, utimes, then fsync the file                          | temporary file; the
 *    5. fsync what contains directories that were just made                | target is untouched
 *    6. open the directory, so that EMFILE or EACCES still come in time   /
 *       and the old file, to keep its blocks
 *    7. rename (or link): THE COMMIT POINT, one synchronous system call
 *    8. close, fsync the directory, close it and the old file             a failure is DurabilityUnknownError
 *
 * A crash before 7 leaves the old file and at most one temporary file that an orphan sweep recognises; a
 * crash after 7 leaves the new file, and before the end of 8 perhaps the old one, whole: ext4 in data=writeback gives the blocks of a file
 * without names away before the journal says that it has none, so the old one stays open that long.
 */

import { UnsupportedError } from "../base/errors.ts";
import { permissions } from "../base/file_types.ts";
import { pathKey } from "../base/paths.ts";
import type { StepFs } from "../base/step_fs.ts";
import type { Steps } from "../base/steps.ts";
import { type DigestStream, startDigest, verifyDigest } from "../hash/digest.ts";
import { throwIfAborted } from "../base/abort.ts";
import { makeDirs } from "../base/directories.ts";
import { admitted } from "./admission.ts";
import { type Committed, commitTemp, makeNameDurable } from "./commit_temp.ts";
import { type Destination, findDestination, refused } from "./destination.ts";
import { notPublished } from "./failures.ts";
import type { ResolvedOptions } from "./options.ts";
import type { Receipt } from "./receipt.ts";
import type { OpenSource, Source } from "./sources.ts";
import { createSibling, discardSibling, SiblingSink, type TempSibling } from "./temp_sibling.ts";
import { type Coalescing, inTurn, type Turn } from "./write_queue.ts";

/** One publish. */
export interface PublishJob {
  /** The absolute path that the caller means. */
  readonly target: string;
  readonly source: Source;
  readonly options: ResolvedOptions;
}

/** Publishes when the writers of the same path that called before have had their turn. */
export function* publish(fs: StepFs, job: PublishJob): Steps<Receipt> {
  const { target, options: { durability, existing, signal } } = job;
  const key = pathKey(target);
  const wanted = { key, durability, signal, coalesce: coalescing(fs, job) };
  // Who has a source of its own pace must not keep others from their work.
  const isQuick = fs.colour === "async" && job.source.inMemory !== undefined;
  const receipt = yield* inTurn(
    fs,
    wanted,
    (turn) => {
      const write = (): Steps<Receipt> => publishNow(fs, job, turn);
      return isQuick ? admitted(fs, signal, write) : write();
    },
  );
  // The file that overtook us is there: who wanted to be the one that creates it has lost.
  if (receipt.superseded && existing === "fail") {
    throw notPublished(target, refused("EEXIST", target), signal);
  }
  return receipt;
}

/** Writes of bytes in memory may take each other's place. */
function coalescing(fs: StepFs, { source, options: o }: PublishJob): Coalescing | undefined {
  if (!o.coalesce || source.inMemory === undefined) return undefined;
  const { signal: _, onProgress: __, ...same } = o;
  const options = JSON.stringify(
    same,
    (_key, value) => typeof value === "bigint" ? String(value) : value,
  );
  return { adapter: fs.adapter, options };
}

function* publishNow(fs: StepFs, job: PublishJob, turn: Turn): Steps<Receipt> {
  const { target, options: o } = job;
  throwIfAborted(o.signal);
  let source: OpenSource | undefined;
  try {
    source = yield* job.source.open(fs);
    const draft = yield* openDraft(fs, job, source);
    return yield* fillAndCommit(fs, job, turn, draft);
  } catch (cause) {
    throw notPublished(target, cause, o.signal);
  } finally {
    if (source !== undefined) yield* source.close();
  }
}

/** What one publish has in its hands between its first effect and its commit. */
export interface Draft {
  readonly destination: Destination;
  readonly temp: TempSibling;
  readonly source: OpenSource;
  readonly hash: Hashing;
}

/** All that comes before the first byte is written. */
export function* openDraft(
  fs: StepFs,
  job: PublishJob,
  source: OpenSource,
  known: { readonly hash?: Hashing; readonly destination?: Destination } = {},
): Steps<Draft> {
  const { target, options: o } = job;
  const hash = known.hash ?? (yield* beginHash(fs, job, source.size));
  const destination = known.destination ?? (yield* findDestination(fs, target, o));
  requireSettableMode(fs, destination, o);
  const temp = yield* createSibling(fs, destination.path, {
    mode: destination.old === undefined && o.mode === undefined ? 0o666 : 0o600,
    makeParents: o.createParents ? makeDirs : undefined,
    inUse: true,
  });
  return { destination, temp, source, hash };
}

/** Writes and verifies all bytes. */
export function* fillDraft(
  fs: StepFs,
  { target, options: o }: PublishJob,
  { temp, source, hash }: Draft,
): Steps<Pick<Receipt, "bytes" | "hash">> {
  const report = progressReport(o, source.size);
  const sink = new SiblingSink(fs, temp, hash?.running, report);
  yield* source.pour(sink, o.signal);
  report?.(sink.bytes);
  const hex = hash?.verified ?? hash?.running?.hex();
  if (o.hash !== undefined && hex !== undefined) verifyDigest(target, o.hash, hex, UNTOUCHED);
  return { bytes: sink.bytes, ...(hex === undefined ? {} : { hash: hex }) };
}

function* fillAndCommit(
  fs: StepFs,
  job: PublishJob,
  turn: Turn,
  draft: Draft,
): Steps<Receipt> {
  const { destination, temp } = draft;
  const { target, options: o } = job;
  let committed: Committed;
  try {
    const filled = yield* fillDraft(fs, job, draft);
    committed = yield* commitTemp(fs, temp, destination, o, turn, filled);
  } catch (cause) {
    throw notPublished(target, cause, o.signal, yield* discardSibling(fs, temp));
  }
  return yield* makeNameDurable(fs, temp, committed);
}

function progressReport(
  { onProgress }: ResolvedOptions,
  total: number | undefined,
): ((bytes: number) => void) | undefined {
  if (onProgress === undefined) return undefined;
  return (bytes) => onProgress(total === undefined ? { bytes } : { bytes, total });
}

/** A wanted digest: computed and compared already, or running along with the bytes. */
export type Hashing =
  | { readonly verified: string; readonly running?: undefined }
  | { readonly verified?: undefined; readonly running: DigestStream }
  | undefined;

/** Bytes in memory are verified before anything is touched, all others on their way. */
export function* beginHash(
  fs: StepFs,
  { target, source: { inMemory }, options: o }: PublishJob,
  size: number | undefined,
): Steps<Hashing> {
  if (o.hash === undefined) return undefined;
  const running = yield* startDigest(fs, o.hash.algorithm, size, target);
  if (inMemory === undefined) return { running };
  running.update(inMemory);
  const verified = running.hex();
  verifyDigest(target, o.hash, verified, UNTOUCHED);
  return { verified };
}

/** Without fchmod the mode of the file replaced cannot be kept, and a wider one must not be risked. */
function requireSettableMode(fs: StepFs, { path, old }: Destination, o: ResolvedOptions): void {
  if (fs.adapter.capabilities.handleMetadata || old === undefined) return;
  if (o.mode === undefined && permissions(old) === 0o600) return;
  throw new UnsupportedError(
    "handleMetadata",
    `Cannot publish "${path}": ${fs.adapter.name} does not let this process keep its mode, nothing was touched`,
    { operation: "fchmod", path },
  );
}

const UNTOUCHED = "nothing was published";

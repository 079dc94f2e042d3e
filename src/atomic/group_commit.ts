/**
 * One batch of files, published at the price of a few.
 *
 *    1. take the turns of all paths
 *    2. verify the bytes of all files; for each file: look at the target, open its directory, create a temporary sibling, write, owner, mode, time
 *    3. one round of fsyncs: side by side, or one syncfs(2) for each file system where it is a synchronous call's and pays
 *    4. fsync what contains directories that were just made
 *    5. the commits, one after the other: each is THE COMMIT POINT of its file; the old files stay open
 *    6. one fsync for each distinct directory
 *    7. let the old files go
 *
 * A failure before the first commit publishes nothing of the batch. Each file is old or new at every moment; the group as a whole is not
 * atomic: a crash among the commits leaves some new and some old.
 */

import { dirname } from "node:path";
import { throwIfAborted } from "../base/abort.ts";
import { closeQuietly, fsyncDirIfPossible, makeDirs, syncMadeDirs } from "../base/directories.ts";
import { CrashSafeError, DurabilityUnknownError } from "../base/errors.ts";
import { pathKey } from "../base/paths.ts";
import { type Begun, failedWith, type OpenFile, type StepFs } from "../base/step_fs.ts";
import type { Steps } from "../base/steps.ts";
import { commit } from "./commit.ts";
import { findDestination, refused } from "./destination.ts";
import { cannotSyncDirectory, notPublished } from "./failures.ts";
import { GroupPublishError } from "./group_error.ts";
import { type Metadata, setMetadata } from "./metadata.ts";
import {
  beginHash,
  type Draft,
  fillDraft,
  type Hashing,
  openDraft,
  type PublishJob,
} from "./publish.ts";
import type { Receipt } from "./receipt.ts";
import { discardSibling } from "./temp_sibling.ts";
import { type GroupTurn, inTurns, Overtaken } from "./write_queue.ts";

/** Publishes a batch, and adds to `unpinned` what ends later. Throws a GroupPublishError when only some are in place; else what a single publish throws. */
export function* publishBatch(
  fs: StepFs,
  jobs: readonly PublishJob[],
  signal: AbortSignal | undefined,
  unpinned: Begun<void>[],
): Steps<readonly Receipt[]> {
  const wanted = jobs.map(({ target, options: { durability } }) => ({
    key: pathKey(target),
    durability,
  }));
  return yield* inTurns(
    fs,
    wanted,
    signal,
    (turns) => new Batch(fs, jobs, turns, signal, unpinned).run(),
  );
}

/** One file of a batch, between its first effect and its receipt. */
interface Member {
  /** Its place among the jobs. */
  readonly index: number;
  readonly job: PublishJob;
  readonly turn: GroupTurn;
  readonly draft: Draft;
  /** To be synced. */
  readonly dir: OpenFile | undefined;
  receipt: Receipt;
  committed: boolean;
  /** Nobody can tell whether it is in place. */
  isUnknown: boolean;
}

/** fsyncs under way at the same time. */
const SIDE_BY_SIDE = 16;
/** From so many files of one file system on, a syncfs(2) is cheaper than their fsyncs one after the other. */
const FEWEST_FOR_SYNCFS = 8;
const LONGEST_STRETCH_MS = 0.25;

class Batch {
  readonly #fs: StepFs;
  readonly #jobs: readonly PublishJob[];
  readonly #turns: readonly GroupTurn[];
  readonly #signal: AbortSignal | undefined;
  #pausedAt: number;
  readonly #members: Member[] = [];
  /** Under way, the oldest first. */
  readonly #fsyncs: { readonly member: Member; readonly begun: Begun<void> }[] = [];
  /** By path, in the order in which they were opened. */
  readonly #dirs = new Map<string, OpenFile>();
  /** Old files, until the new names are durable. */
  readonly #pinned: OpenFile[] = [];
  readonly #unpinned: Begun<void>[];
  /** The first of a published file's close. */
  #closeFailure: unknown;
  /** Of each job, as soon as it is known. */
  readonly #receipts: (Receipt | undefined)[] = [];

  constructor(
    fs: StepFs,
    jobs: readonly PublishJob[],
    turns: readonly GroupTurn[],
    signal: AbortSignal | undefined,
    unpinned: Begun<void>[],
  ) {
    this.#unpinned = unpinned;
    this.#fs = fs;
    this.#jobs = jobs;
    this.#turns = turns;
    this.#signal = signal;
    this.#pausedAt = fs.now();
  }

  *run(): Steps<readonly Receipt[]> {
    try {
      yield* this.#prepare();
      yield* this.#commitAll();
      yield* this.#makeNamesDurable();
      const receipts = this.#receipts as readonly Receipt[];
      for (const [index, turn] of this.#turns.entries()) {
        turn.settle({ receipt: receipts[index] });
      }
      return receipts;
    } catch (failure) {
      for (const turn of this.#turns) turn.settle({ failure });
      throw failure;
    } finally {
      for (const pinned of this.#pinned) this.#unpinned.push(this.#fs.beginUnpin(pinned));
      for (const dir of this.#dirs.values()) yield* closeQuietly(this.#fs, dir);
    }
  }

  /** Steps 2 to 4. A failure leaves nothing. */
  *#prepare(): Steps<void> {
    let target = "";
    try {
      // A mismatch must not even leave a directory that another file of the batch needs.
      const hashes: Hashing[] = [];
      for (const job of this.#jobs) {
        target = job.target;
        throwIfAborted(this.#signal);
        hashes.push(yield* beginHash(this.#fs, job, job.source.inMemory?.byteLength));
        yield* this.#breathe();
      }
      for (const [index, job] of this.#jobs.entries()) {
        target = job.target;
        throwIfAborted(this.#signal);
        const turn = this.#turns[index] as GroupTurn;
        const overtaken = overtakenBy(job, turn);
        if (overtaken !== undefined) this.#receipts[index] = overtaken;
        else yield* this.#add(index, job, turn, hashes[index]);
        yield* this.#breathe();
      }
      yield* this.#syncFiles();
      for (const dir of this.#dirs.values()) yield* this.#prepareDir(dir);
      yield* this.#breathe();
      // From here to the first commit it is one tick: nobody can abort or overtake in between.
      for (const { job, turn } of this.#members) {
        target = job.target;
        overtakenBy(job, turn);
      }
      throwIfAborted(this.#signal);
    } catch (cause) {
      const named = cause instanceof FileFailure ? cause : new FileFailure(target, cause);
      yield* this.#settleFsyncs();
      const leftover = yield* this.#discard(this.#members);
      throw notPublished(named.target, named.reason, this.#signal, leftover);
    }
  }

  /** Makes, fills and dresses one temporary file. */
  *#add(index: number, job: PublishJob, turn: GroupTurn, hash: Hashing): Steps<void> {
    const fs = this.#fs;
    const { options: o } = job;
    const source = yield* job.source.open(fs);
    const destination = yield* findDestination(fs, job.target, o);
    const dir = yield* this.#openDir(dirname(destination.path), o.createParents, turn);
    const draft = yield* openDraft(fs, job, source, { hash, destination });
    let filled: Pick<Receipt, "bytes" | "hash">;
    let metadata: Metadata;
    try {
      filled = yield* fillDraft(fs, job, draft);
      metadata = yield* setMetadata(fs, draft.temp, draft.destination.old, o);
    } catch (cause) {
      yield* discardSibling(fs, draft.temp);
      throw cause;
    } finally {
      yield* source.close();
    }
    const { durability } = turn;
    const reached = durability === "full" && dir === undefined ? "file" : durability;
    const receipt = { path: draft.destination.path, ...filled, ...metadata, durability: reached };
    this.#members.push({
      index,
      job,
      turn,
      draft,
      dir,
      receipt,
      committed: false,
      isUnknown: false,
    });
  }

  /**
   * Opened before the first write into it: so EMFILE and EACCES come in time, and a syncfs(2) on it tells of the errors
   * of all writes since (syncfs(2), since Linux 5.8).
   */
  *#openDir(path: string, create: boolean, turn: GroupTurn): Steps<OpenFile | undefined> {
    if (turn.durability === "none" || !this.#fs.adapter.capabilities.fsyncDir) return undefined;
    const known = this.#dirs.get(path);
    if (known !== undefined) return known;
    let dir: OpenFile;
    try {
      dir = yield* this.#fs.openDir(path);
    } catch (cause) {
      if (!create || !failedWith(cause, "ENOENT")) throw cause;
      yield* makeDirs(this.#fs, path);
      dir = yield* this.#fs.openDir(path);
    }
    this.#dirs.set(path, dir);
    return dir;
  }

  /** Step 3, when all is written: an fsync makes the file system write its journal, and the more there is in it the better. */
  *#syncFiles(): Steps<void> {
    const members = this.#members.filter(({ turn }) => turn.durability !== "none");
    const sync = this.#fs.colour === "sync";
    for (const member of sync ? yield* this.#syncWholeFs(members) : members) {
      if (sync || this.#fsyncs.length === SIDE_BY_SIDE) yield* this.#joinFsync();
      this.#fsyncs.push({ member, begun: this.#fs.beginFsync(member.draft.temp) });
    }
    while (this.#fsyncs.length > 0) yield* this.#joinFsync();
  }

  *#joinFsync(): Steps<void> {
    const first = this.#fsyncs.shift();
    if (first === undefined) return;
    try {
      yield* first.begun.join();
    } catch (cause) {
      throw new FileFailure(first.member.job.target, cause);
    }
  }

  /** All of them have to end before anything is closed. */
  *#settleFsyncs(): Steps<void> {
    for (const { begun } of this.#fsyncs.splice(0)) {
      try {
        yield* begun.join();
      } catch {
        // The first failure is the one to be told.
      }
    }
  }

  /** One syncfs(2) for each file system with many files. Answers those that still need an fsync of their own. */
  *#syncWholeFs(members: readonly Member[]): Steps<readonly Member[]> {
    if (!this.#fs.adapter.capabilities.syncFs) return members;
    const rest: Member[] = [];
    for (const dev of new Set(members.map(({ draft }) => draft.temp.made.dev))) {
      const together = members.filter(({ draft }) => draft.temp.made.dev === dev);
      // The first one opened: before all writes to this file system.
      const dir = [...this.#dirs.values()].find((one) =>
        together.some((member) => member.dir === one)
      );
      if (together.length < FEWEST_FOR_SYNCFS || dir === undefined) {
        rest.push(...together);
        continue;
      }
      try {
        yield* this.#fs.syncFs(dir);
      } catch (cause) {
        if (!(cause instanceof CrashSafeError)) throw cause;
        // Whose data it was that could not be written, the files themselves tell.
        rest.push(...together);
      }
    }
    return rest;
  }

  /** Everything about a directory that can fail before the first commit. */
  *#prepareDir(dir: OpenFile): Steps<void> {
    const inside = this.#members.filter((member) =>
      member.dir === dir && member.turn.durability === "full"
    );
    const [first] = inside;
    if (first === undefined) return;
    const strict = inside.find(({ job }) => job.options.requireDurability);
    try {
      let durable = yield* syncMadeDirs(this.#fs, dir.path);
      if (strict !== undefined) {
        durable = (yield* fsyncDirIfPossible(this.#fs, dir)) && durable;
        if (!durable) throw cannotSyncDirectory(dir.path);
      }
      if (durable) return;
      for (const member of inside) member.receipt = { ...member.receipt, durability: "file" };
    } catch (cause) {
      throw new FileFailure((strict ?? first).job.target, cause);
    }
  }

  /** Step 5. */
  *#commitAll(): Steps<void> {
    for (const [place, member] of this.#members.entries()) {
      try {
        if (place > 0) yield* this.#breathe();
        yield* this.#commit(member);
      } catch (cause) {
        member.isUnknown = cause instanceof DurabilityUnknownError && cause.committed === "unknown";
        const leftover = yield* this.#discard(this.#members.slice(place));
        const failure = notPublished(member.job.target, cause, this.#signal, leftover);
        const alone = this.#jobs.length === 1;
        if (!this.#members.some(({ committed, isUnknown }) => committed || isUnknown && !alone)) {
          throw failure;
        }
        // What is in place becomes durable as far as it can; the receipts tell.
        yield* this.#syncNames();
        throw this.#partly(failure);
      }
    }
  }

  *#commit(member: Member): Steps<void> {
    const fs = this.#fs;
    const { index, job, turn, draft: { temp, destination: { path, old } }, receipt } = member;
    const pinned = old && (yield* fs.pin(path, old));
    if (pinned !== undefined) this.#pinned.push(pinned);
    try {
      const leftover = yield* commit(fs, temp, path, job.options.existing, turn);
      member.committed = true;
      this.#receipts[index] = leftover === undefined ? receipt : { ...receipt, leftover };
    } catch (cause) {
      const overtaken = cause instanceof Overtaken ? overtakenBy(job, turn) : undefined;
      if (overtaken === undefined) throw cause;
      yield* discardSibling(fs, temp);
      this.#receipts[index] = overtaken;
    }
    if (member.committed) yield* this.#closePublished(temp);
  }

  /** One is opened for each that is closed: never more files are open than before the first commit, and a few. */
  *#closePublished(temp: OpenFile): Steps<void> {
    try {
      yield* this.#fs.close(temp);
    } catch (cause) {
      this.#closeFailure ??= cause;
    }
  }

  /** Step 6. */
  *#makeNamesDurable(): Steps<void> {
    const failure = yield* this.#syncNames();
    if (failure !== undefined) throw this.#partly(failure);
  }

  /** Closes what is published and syncs its directories. Answers the first failure. */
  *#syncNames(): Steps<unknown> {
    const fs = this.#fs;
    const committed = this.#members.filter((member) => member.committed);
    let failure = this.#closeFailure;
    const dirs = new Set(
      committed.flatMap(({ dir, turn }) => turn.durability === "full" && dir ? [dir] : []),
    );
    const syncs = [...dirs].map((dir) => ({ dir, begun: fs.beginFsyncDir(dir) }));
    for (const { dir, begun } of syncs) {
      try {
        yield* begun.join();
      } catch (cause) {
        for (const { index, receipt } of committed.filter((one) => one.dir === dir)) {
          this.#receipts[index] = { ...receipt, durability: "file" };
        }
        if (!failedWith(cause, "EINVAL", "ENOTSUP", "EOPNOTSUPP", "ENOSYS")) failure ??= cause;
      }
    }
    return failure;
  }

  #inPlace(): readonly Receipt[] {
    return this.#receipts.filter((receipt): receipt is Receipt => receipt !== undefined);
  }

  #partly(cause: unknown): GroupPublishError {
    const published = this.#inPlace();
    const unknown = this.#members.flatMap(({ job, isUnknown }) => isUnknown ? [job.target] : []);
    const unpublished = this.#jobs.flatMap(({ target }, index) =>
      this.#receipts[index] === undefined && !unknown.includes(target) ? [target] : []
    );
    const known = cause instanceof CrashSafeError;
    const what = cause instanceof Error ? cause.message : String(cause);
    return new GroupPublishError(
      `Cannot publish all of ${this.#jobs.length} files: ${what}; ${published.length} are in place, ${unpublished.length} are as they were${
        unknown.length === 0 ? "" : `, of ${unknown.length} it cannot be told`
      }`,
      {
        code: known ? cause.code : "Unknown",
        operation: known ? cause.operation : "publish",
        path: known ? cause.path : "",
        cause,
      },
      published,
      unpublished,
      unknown,
    );
  }

  /** An asynchronous group lets others have the thread. */
  *#breathe(): Steps<void> {
    if (this.#fs.colour === "sync" || this.#fs.now() - this.#pausedAt < LONGEST_STRETCH_MS) return;
    yield* this.#fs.sleep(0);
    this.#pausedAt = this.#fs.now();
  }

  /** Answers the first temporary file that could not be removed. */
  *#discard(members: readonly Member[]): Steps<string | undefined> {
    let leftover: string | undefined;
    for (const { draft } of members) {
      const left = yield* discardSibling(this.#fs, draft.temp);
      leftover ??= left;
    }
    return leftover;
  }
}

/** The receipt of the write that overtook. Throws for who wanted to be the one that creates the file: it is there. */
function overtakenBy({ target, options }: PublishJob, turn: GroupTurn): Receipt | undefined {
  const receipt = turn.overtakenBy();
  if (receipt !== undefined && options.existing === "fail") {
    throw notPublished(target, refused("EEXIST", target), undefined);
  }
  return receipt;
}

/** A failure, and whose it is. */
class FileFailure {
  readonly target: string;
  readonly reason: unknown;

  constructor(target: string, reason: unknown) {
    this.target = target;
    this.reason = reason;
  }
}

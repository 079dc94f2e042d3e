/**
 * What all copies of this package in one realm share: one writer queue, one list of directories that
 * are not durable yet, one table of locks. A simulated process of the testing kit has a realm of its own. It is plain data in a slot of globalThis, so that two copies (a bundled
 * one and an installed one, say) of the same state version understand each other. Made at first use:
 * importing the package makes nothing.
 */

import type { FsAdapter, ProcessHooks } from "./fs_adapter.ts";

/** A place in the queue of writers of one path (rule: writers of one path take turns). */
export interface WriteTicket {
  /** The path as the queue knows it: lexically absolute. */
  readonly key: string;
  /** The durability asked for; who overtakes this write takes it over. */
  readonly durability: "none" | "file" | "full";
  /** The commit point is passed; nobody can overtake any more. */
  committed: boolean;
  /** How the synchronous write ended that overtook this one. */
  overtaken: { readonly receipt: unknown } | { readonly failure: unknown } | undefined;
  /** Writes with the same adapter and equal options may take each other's place while they wait. */
  readonly coalesce: { readonly adapter: object; readonly options: string } | undefined;
  /** The turn has come. */
  started: boolean;
  /** Those whose place this write has taken, oldest first. They are in no queue. */
  readonly replaced: WriteTicket[];
  /** How the write ended that took this one's place. */
  settled: { readonly receipt: unknown } | { readonly failure: unknown } | undefined;
  /** Called when the turn has come, or the ticket was overtaken or settled while it waited. */
  wake: (() => void) | undefined;
}

/** Somebody of this realm who waits for a lock. */
export interface LockTicket {
  readonly shared: boolean;
  /** Whose handles it understands: a lock is handed over only within one adapter. */
  readonly adapter: object;
  /** The open and locked file that a local holder handed over instead of unlocking it. */
  given: object | undefined;
  /** Called when the turn has come, or a local holder has released. */
  wake: (() => void) | undefined;
}

/** What this realm has and wants of one lock file. */
export interface LockQueue {
  /** Those who wait, in call order; the first tries. */
  readonly tickets: LockTicket[];
  /** Exclusive holders, 0 or 1. */
  exclusive: number;
  /** Shared holders. */
  shared: number;
  /** Hand-overs in a row without letting another process in. */
  handovers: number;
  /** When the row began, on the process's clock. */
  since: number;
  /** The row has ended: the next waiter lets other processes try first. */
  othersFirst: boolean;
}

/** Asynchronous writes that begin together. */
export interface Admission {
  atWork: number;
  /** When the present stretch of beginnings and commits began, on the process's clock. */
  since: number;
  /** Resolves when the last of those who wait has begun. */
  last: Promise<void> | undefined;
  /** Resolves when the last of those who want to commit may. */
  lastCommit: Promise<void> | undefined;
  /** Called when one has ended. */
  ended: (() => void) | undefined;
}

/** An fsync of a directory that several writes may share. */
export interface DirSync {
  readonly adapter: object;
  /** Open until it has ended. */
  readonly dir: { readonly handle: object; readonly path: string };
  /** Whether the file system can do it. */
  readonly outcome: Promise<boolean>;
  /** Nobody can join any more. */
  begun: boolean;
}

/** A temporary file of this realm. */
export interface TempEntry {
  /** Never used twice. */
  readonly id: number;
  readonly path: string;
  readonly adapter: FsAdapter;
  readonly pid: number;
  /** Empty directories above the file go with it, up to this one, which stays. */
  readonly boundary: string | undefined;
  /** Which file it is, as soon as it is there. */
  inode: { readonly dev: bigint; readonly ino: bigint } | undefined;
  /** Somebody is working with it, who would be surprised. */
  inUse: boolean;
}

/** What a worker tells the main thread: a file that is there, or, without a path, one that is gone. */
export interface TempNews {
  readonly id: number;
  readonly path?: string;
  readonly boundary?: string | undefined;
  readonly inode?: TempEntry["inode"];
}

/** The shared slot. */
export interface ProcessState {
  /** Tickets by path, in call order; the first has the turn. */
  readonly writers: Map<string, WriteTicket[]>;
  /** Directories made by this realm whose own name is not durable yet, each with a mark of its making. */
  readonly undurableDirs: Map<string, number>;
  /** Writes at work, and those that wait for room. */
  readonly admission: Admission;
  /** The last fsync of each directory that has not ended, by path. */
  readonly dirSyncs: Map<string, DirSync>;
  /** Locks of this realm by path: who holds them and who waits. */
  readonly locks: Map<string, LockQueue>;
  /** How often this realm holds each inode, to tell a deadlock from a wait. */
  readonly lockedInodes: Map<string, { exclusive: number; shared: number }>;
  /** Temporary files by id. */
  readonly temps: Map<number, TempEntry>;
  /** Those of workers, by realm and id. */
  readonly foreignTemps: Map<string, TempEntry>;
  /** The next id for {@linkcode temps}. */
  nextTempId: number;
  /** In a worker: tells the main thread. */
  announce: ((news: TempNews) => void) | undefined;
  /** Takes the signal handlers away that were installed last. */
  uninstall: (() => void) | undefined;
  /** The next mark for {@linkcode undurableDirs}. */
  nextMark: number;
}

const SLOT = Symbol.for("@crashsafe/fs/state/1");

/** The shared state of the realm that a process belongs to. */
export function processState(hooks: ProcessHooks): ProcessState {
  const holder = (hooks.realm ?? globalThis) as { [SLOT]?: ProcessState };
  return holder[SLOT] ??= {
    writers: new Map(),
    undurableDirs: new Map(),
    dirSyncs: new Map(),
    admission: { atWork: 0, since: 0, last: undefined, lastCommit: undefined, ended: undefined },
    locks: new Map(),
    lockedInodes: new Map(),
    temps: new Map(),
    foreignTemps: new Map(),
    nextTempId: 1,
    announce: undefined,
    uninstall: undefined,
    nextMark: 1,
  };
}

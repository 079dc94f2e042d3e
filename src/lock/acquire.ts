/**
 * Getting and giving a lock.
 *
 *    1. open the lock file, making it when it is missing, never through a symbolic link, never truncating it
 *    2. flock(2) without waiting
 *    3. the handle's inode still has a name, and it is this path's; else close, and 1 again
 *
 * Waiting is polling 2, from 1 ms on up to 8 ms with jitter (after half a second less and less often, up to 40 ms); a file that was replaced meanwhile is noticed once a second.
 * (A blocking flock(2) could not be cancelled, and would take a thread.) Waiters of one realm queue, and an exclusive lock goes from
 * one to the next still locked (lock_queue.ts). The kernel frees the lock when the process dies.
 */

import { throwIfAborted } from "../base/abort.ts";
import { closeQuietly } from "../base/directories.ts";
import { CrashSafeError, LockHeldError } from "../base/errors.ts";
import type { FileStat } from "../base/fs_adapter.ts";
import type { LockTicket } from "../base/process_state.ts";
import { pathKey } from "../base/paths.ts";
import { failedWith, type OpenFile, type StepFs } from "../base/step_fs.ts";
import { settled, type Steps } from "../base/steps.ts";
import {
  type LockPlace,
  namedInode,
  openLockFile,
  readHolder,
  tryFlock,
  writeHolder,
} from "./lock_file.ts";
import {
  heldHere,
  isFirst,
  joinQueue,
  leaveQueue,
  noteHeld,
  noteReleased,
  otherProcessesFirst,
  wakeFirst,
  wouldDeadlock,
} from "./lock_queue.ts";
import type { ResolvedLockOptions } from "./options.ts";

/** A lock that is held. */
export interface Held {
  readonly file: OpenFile;
  readonly inode: FileStat;
  readonly shared: boolean;
}

/** Tries once. Answers undefined when somebody else holds it; every other failure is thrown. */
export function* tryAcquire(
  fs: StepFs,
  place: LockPlace,
  o: ResolvedLockOptions,
): Steps<Held | undefined> {
  const outcome = yield* attempt(fs, place, o);
  if ("inode" in outcome) return outcome;
  yield* closeQuietly(fs, outcome.busy);
  return undefined;
}

/** Waits for the lock. */
export function* acquire(fs: StepFs, place: LockPlace, o: ResolvedLockOptions): Steps<Held> {
  const wait = new Wait(fs, o);
  if (fs.colour === "sync") return yield* poll(fs, place, o, wait, undefined);
  const key = pathKey(place.path);
  const ticket = joinQueue(fs.state, key, o.shared, fs.adapter);
  try {
    while (!isFirst(fs.state, key, ticket)) {
      wait.requireTime(place.path, undefined);
      yield* woken(ticket, wait, o.signal);
    }
    if (otherProcessesFirst(fs.state, key)) yield* fs.sleep(LONGEST_PAUSE_MS);
    return yield* poll(fs, place, o, wait, ticket);
  } finally {
    // Handed over in the very moment in which we gave up: on to the next.
    const given = ticket.given as Held | undefined;
    ticket.given = undefined;
    leaveQueue(fs.state, key, ticket);
    if (given !== undefined) yield* release(fs, given);
  }
}

/** Gives the lock to the first who waits for it here, or back to the kernel. */
export function* release(fs: StepFs, { file, inode, shared }: Held): Steps<void> {
  const key = pathKey(file.path);
  const next = noteReleased(fs.state, key, inode, shared, fs.adapter, fs.now());
  if (next !== undefined) {
    noteHeld(fs.state, key, inode, shared, true, 0);
    next.given = { file, inode, shared } satisfies Held;
    next.wake?.();
    return;
  }
  try {
    // Before the close: a child process that is just being started has a copy of the descriptor until its exec.
    yield* fs.funlock(file);
  } finally {
    yield* closeQuietly(fs, file);
    wakeFirst(fs.state, key);
  }
}

/** Open, lock, look. */
function* attempt(
  fs: StepFs,
  place: LockPlace,
  o: ResolvedLockOptions,
): Steps<Held | { readonly busy: OpenFile }> {
  for (let round = 1;; round++) {
    let file: OpenFile;
    try {
      file = yield* openLockFile(fs, place);
    } catch (cause) {
      // The name was given to another file while it was opened.
      if (failedWith(cause, "ESTALE") && round < MOST_ROUNDS) continue;
      throw cause;
    }
    try {
      if (!(yield* tryFlock(fs, file, o.shared ? "shared" : "exclusive"))) return { busy: file };
      const held = yield* checked(fs, file, o);
      if (held !== undefined) return held;
    } catch (cause) {
      yield* closeQuietly(fs, file);
      throw cause;
    }
    yield* closeQuietly(fs, file);
    if (round === MOST_ROUNDS) {
      throw new CrashSafeError(
        `Cannot lock "${place.path}": the file was replaced ${round} times while it was being locked, nothing is locked`,
        { code: "ESTALE", operation: "flock", path: place.path },
      );
    }
  }
}

/** A file that we have locked is the lock if the path still names it. */
function* checked(
  fs: StepFs,
  file: OpenFile,
  { shared, holder }: ResolvedLockOptions,
): Steps<Held | undefined> {
  const inode = yield* namedInode(fs, file);
  if (inode === undefined) return undefined;
  noteHeld(fs.state, pathKey(file.path), inode, shared, false, fs.now());
  if (holder !== undefined && !shared) yield* writeHolder(fs, file, holder);
  return { file, inode, shared };
}

/** Tries until it is had. */
function* poll(
  fs: StepFs,
  place: LockPlace,
  o: ResolvedLockOptions,
  wait: Wait,
  ticket: LockTicket | undefined,
): Steps<Held> {
  for (;;) {
    const given = ticket?.given as Held | undefined;
    if (ticket !== undefined && given !== undefined) {
      ticket.given = undefined;
      const held = yield* takeOver(fs, given, o);
      if (held !== undefined) return held;
    }
    wait.attempts++;
    const outcome = yield* attempt(fs, place, o);
    if ("inode" in outcome) return outcome;
    const held = yield* pollFile(fs, outcome.busy, o, wait, ticket);
    if (held !== undefined) return held;
  }
}

/** Tries one open file again and again. Answers undefined when it has to be opened anew. It is closed unless it is held. */
function* pollFile(
  fs: StepFs,
  file: OpenFile,
  o: ResolvedLockOptions,
  wait: Wait,
  ticket: LockTicket | undefined,
): Steps<Held | undefined> {
  const kind = o.shared ? "shared" : "exclusive";
  const key = pathKey(file.path);
  let lookedAt = fs.now();
  let held: Held | undefined;
  try {
    for (;;) {
      if (ticket === undefined && wouldDeadlock(fs.state, yield* fs.fstat(file), o.shared)) {
        throw wait.failure(file.path, "WouldDeadlock", undefined);
      }
      if (wait.over) throw wait.failure(file.path, "LockHeld", yield* readHolder(fs, file));
      let locked: boolean | undefined = false;
      if (ticket !== undefined && heldHere(fs.state, key, o.shared)) {
        yield* woken(ticket, wait, o.signal);
        if (ticket.given !== undefined) return undefined;
      } else {
        locked = ticket && (yield* pauseInKernel(fs, file, kind, wait, o.signal));
        if (locked === undefined) yield* fs.sleep(wait.pause());
      }
      throwIfAborted(ticket && o.signal);
      wait.attempts++;
      if (locked || (yield* tryFlock(fs, file, kind))) {
        held = yield* checked(fs, file, o);
        return held;
      }
      if (fs.now() - lookedAt < LOOK_EVERY_MS) continue;
      lookedAt = fs.now();
      if ((yield* namedInode(fs, file)) === undefined) return undefined;
    }
  } finally {
    if (held === undefined) yield* closeQuietly(fs, file);
  }
}

/** A lock that a local holder handed over: ours if the path still names the file. */
function* takeOver(
  fs: StepFs,
  given: Held,
  { holder }: ResolvedLockOptions,
): Steps<Held | undefined> {
  const { file } = given;
  try {
    if ((yield* namedInode(fs, file)) === undefined) {
      yield* release(fs, given);
      return undefined;
    }
  } catch (cause) {
    yield* release(fs, given);
    throw cause;
  }
  if (holder !== undefined) yield* writeHolder(fs, file, holder);
  return given;
}

/** Where one operation waits: in it, until the lock is had, the time is over or the signal comes. Undefined elsewhere. */
function* pauseInKernel(
  fs: StepFs,
  file: OpenFile,
  kind: "exclusive" | "shared",
  wait: Wait,
  signal: AbortSignal | undefined,
): Steps<boolean | undefined> {
  const end = new AbortController();
  const steps = fs.flockWait(file, kind, end.signal);
  if (steps === undefined) return undefined;
  const stop = (): void => end.abort();
  const timer = setTimeout(stop, Math.min(wait.leftMs, LOOK_EVERY_MS));
  signal?.addEventListener("abort", stop, { once: true });
  try {
    return yield* steps;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", stop);
  }
}

/** Waits until the ticket is woken, for at most a second (the file may have been replaced) or until the time is over. */
function* woken(ticket: LockTicket, wait: Wait, signal: AbortSignal | undefined): Steps<void> {
  if (ticket.given !== undefined) return;
  throwIfAborted(signal);
  yield* settled(
    new Promise<void>((resolve, reject) => {
      const end = (act: () => void): void => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", abort);
        ticket.wake = undefined;
        act();
      };
      const abort = (): void => end(() => reject(signal?.reason));
      const timer = setTimeout(() => end(resolve), Math.min(wait.leftMs, LOOK_EVERY_MS));
      signal?.addEventListener("abort", abort, { once: true });
      ticket.wake = () => end(resolve);
    }),
  );
}

/** How long it has waited, and may wait. */
class Wait {
  attempts = 0;
  readonly #fs: StepFs;
  readonly #timeoutMs: number;
  readonly #since: number;
  #pauses = 0;

  constructor(fs: StepFs, { timeoutMs }: ResolvedLockOptions) {
    this.#fs = fs;
    this.#timeoutMs = timeoutMs;
    this.#since = fs.now();
  }

  get leftMs(): number {
    return Math.max(0, this.#timeoutMs - (this.#fs.now() - this.#since));
  }

  get over(): boolean {
    return this.leftMs <= 0;
  }

  requireTime(path: string, holder: string | undefined): void {
    if (this.over) throw this.failure(path, "LockHeld", holder);
  }

  /** 1, 2, 4, 8, 8 … ms, for long waits up to 40, times 0.5 to 1: several waiters do not try in step. */
  pause(): number {
    const waitedMs = this.#fs.now() - this.#since;
    const longest = Math.min(Math.max(LONGEST_PAUSE_MS, waitedMs / 64), LONGEST_LATE_PAUSE_MS);
    const ms = Math.min(2 ** this.#pauses++, longest);
    return Math.min(ms * (0.5 + this.#chance() / 2), Math.max(this.leftMs, SHORTEST_PAUSE_MS));
  }

  failure(
    path: string,
    code: "LockHeld" | "WouldDeadlock",
    holder: string | undefined,
  ): LockHeldError {
    const waitedMs = Math.round(this.#fs.now() - this.#since);
    const { attempts } = this;
    const why = code === "WouldDeadlock"
      ? "this very thread holds it and would wait for itself"
      : `somebody else holds it${
        holder === undefined ? "" : ` (its file says: ${holder})`
      }, waited ${waitedMs} ms, tried ${attempts} ${attempts === 1 ? "time" : "times"}`;
    return new LockHeldError(`Cannot lock "${path}": ${why}`, {
      code,
      operation: "flock",
      path,
    }, { attempts, waitedMs, holder });
  }

  #chance(): number {
    const { random } = this.#fs.adapter.process;
    if (random === undefined) return Math.random();
    const byte = new Uint8Array(1);
    random(byte);
    return (byte[0] as number) / 256;
  }
}

/** Who waits sees a free lock this soon. */
const LONGEST_PAUSE_MS = 8;
/** After some seconds of waiting: a try costs 0.1 to 0.3 ms of a core, most of it for waking up. */
const LONGEST_LATE_PAUSE_MS = 40;
const SHORTEST_PAUSE_MS = 0.1;
/** How often a waiter looks whether its file is still the one at the path. */
const LOOK_EVERY_MS = 1000;
/** A file that is replaced this often in a row is replaced on purpose. */
const MOST_ROUNDS = 16;

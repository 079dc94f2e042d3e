/**
 * Who of this realm holds and wants a lock file.
 *
 * 1. Waiters of one path queue in call order; only the first tries. The path is lexically absolute: two spellings through
 *    different symbolic links are two queues, which exclude each other by the kernel as two processes do.
 * 2. A release hands an exclusive lock over to the first waiter, still locked. After 16 hand-overs or 50 ms in a row it is
 *    unlocked, and the waiter pauses before it tries, so that other processes get a turn.
 * 3. A synchronous call never queues and is never handed anything.
 */

import type { FileStat } from "../base/fs_adapter.ts";
import type { LockQueue, LockTicket, ProcessState } from "../base/process_state.ts";

/** Joins the end of the queue, in the tick of the call. */
export function joinQueue(
  { locks }: ProcessState,
  key: string,
  shared: boolean,
  adapter: object,
): LockTicket {
  const ticket: LockTicket = { shared, adapter, given: undefined, wake: undefined };
  queueOf(locks, key).tickets.push(ticket);
  return ticket;
}

/** Whether it is this waiter's turn to try. */
export function isFirst({ locks }: ProcessState, key: string, ticket: LockTicket): boolean {
  return locks.get(key)?.tickets[0] === ticket;
}

/** Leaves the queue; whoever is first now may try. */
export function leaveQueue({ locks }: ProcessState, key: string, ticket: LockTicket): void {
  const queue = locks.get(key);
  const place = queue?.tickets.indexOf(ticket) ?? -1;
  if (queue === undefined || place < 0) return;
  queue.tickets.splice(place, 1);
  if (place === 0) queue.tickets[0]?.wake?.();
  forgetIfUnused(locks, key, queue);
}

/** Whether somebody of this realm holds the path in a way that excludes `shared` or exclusive holders. */
export function heldHere({ locks }: ProcessState, key: string, shared: boolean): boolean {
  const queue = locks.get(key);
  return queue !== undefined && (queue.exclusive > 0 || (!shared && queue.shared > 0));
}

/** Whether this realm itself holds the inode in the way: whoever waits for it synchronously waits forever. */
export function wouldDeadlock(
  { lockedInodes }: ProcessState,
  inode: FileStat,
  shared: boolean,
): boolean {
  const held = lockedInodes.get(inodeKey(inode));
  return held !== undefined && (held.exclusive > 0 || (!shared && held.shared > 0));
}

/** Notes a lock that was just had from the kernel or from another holder. */
export function noteHeld(
  { locks, lockedInodes }: ProcessState,
  key: string,
  inode: FileStat,
  shared: boolean,
  handedOver: boolean,
  now: number,
): void {
  const queue = queueOf(locks, key);
  count(queue, shared, 1);
  if (!handedOver) {
    queue.handovers = 0;
    queue.since = now;
  }
  const held = lockedInodes.get(inodeKey(inode)) ?? { exclusive: 0, shared: 0 };
  count(held, shared, 1);
  lockedInodes.set(inodeKey(inode), held);
}

/**
 * Notes that a lock is given up. Answers the waiter that it is handed over to, still locked: the caller sets `given` and wakes it.
 */
export function noteReleased(
  { locks, lockedInodes }: ProcessState,
  key: string,
  inode: FileStat,
  shared: boolean,
  adapter: object,
  now: number,
): LockTicket | undefined {
  const held = lockedInodes.get(inodeKey(inode));
  if (held !== undefined) {
    count(held, shared, -1);
    if (held.exclusive === 0 && held.shared === 0) lockedInodes.delete(inodeKey(inode));
  }
  const queue = locks.get(key);
  if (queue === undefined) return undefined;
  count(queue, shared, -1);
  const [first] = queue.tickets;
  const fits = first !== undefined && !shared && !first.shared && first.adapter === adapter &&
    first.given === undefined;
  if (fits && queue.handovers < MOST_HANDOVERS && now - queue.since < LONGEST_ROW_MS) {
    queue.handovers++;
    return first;
  }
  queue.othersFirst = queue.handovers > 0;
  forgetIfUnused(locks, key, queue);
  return undefined;
}

/** Wakes the first waiter after the kernel's lock is free. Call it when the file is unlocked. */
export function wakeFirst({ locks }: ProcessState, key: string): void {
  locks.get(key)?.tickets[0]?.wake?.();
}

/** Whether a row of hand-overs has just ended, and it is the turn of other processes. */
export function otherProcessesFirst({ locks }: ProcessState, key: string): boolean {
  const queue = locks.get(key);
  if (!queue?.othersFirst) return false;
  queue.othersFirst = false;
  return true;
}

/** In one row; then other processes get a turn, which poll at least every 8 ms. */
const MOST_HANDOVERS = 16;
const LONGEST_ROW_MS = 50;

function queueOf(locks: ProcessState["locks"], key: string): LockQueue {
  let queue = locks.get(key);
  if (queue === undefined) {
    queue = {
      tickets: [],
      exclusive: 0,
      shared: 0,
      handovers: 0,
      since: 0,
      othersFirst: false,
    };
    locks.set(key, queue);
  }
  return queue;
}

function forgetIfUnused(locks: ProcessState["locks"], key: string, queue: LockQueue): void {
  if (queue.tickets.length === 0 && queue.exclusive === 0 && queue.shared === 0) locks.delete(key);
}

function count(held: { exclusive: number; shared: number }, shared: boolean, by: number): void {
  held[shared ? "shared" : "exclusive"] += by;
}

function inodeKey({ dev, ino }: FileStat): string {
  return `${dev}:${ino}`;
}

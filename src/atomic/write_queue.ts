/**
 * Writers of one path take turns.
 *
 * 1. An asynchronous write takes its ticket synchronously, in the call itself; turns come in call order.
 * 2. A ticket's key is the lexically absolute path. Two spellings through different symbolic links
 *    are two queues: each write is still atomic, only their order is not promised.
 * 3. A synchronous write never waits. It overtakes every write of the path that has not committed: those
 *    resolve with its receipt (or reject with its failure, if it failed after its commit), and it takes over
 *    the strongest durability among them, so that what resolves as durable is durable.
 * 4. A write that waits may let a later one take its place (coalescing): it leaves the queue and ends as that one does. If the later one is aborted,
 *    the latest of those it replaced has the place again.
 * 5. Per realm: two workers, or two processes, are ordered by their renames alone.
 */

import type { ProcessState, WriteTicket } from "../base/process_state.ts";
import type { StepFs } from "../base/step_fs.ts";
import { settled, type Steps } from "../base/steps.ts";
import { isAbort, throwIfAborted } from "../base/abort.ts";
import type { Durability } from "./options.ts";
import type { Receipt } from "./receipt.ts";

/** What a write must ask and tell the queue. */
export interface Turn {
  /** The durability to reach: the write's own, or more for those it overtakes. */
  readonly durability: Durability;
  /** Throws when the write was overtaken. Asked in the tick of the commit. */
  assertCurrent(): void;
  /** Told in the tick of the commit. */
  committed(): void;
}

/** Thrown at the commit point of a write that was overtaken; never leaves this package. */
export class Overtaken {}

/** What a write wants of the queue. */
export interface QueuedWrite {
  /** The path as the queue knows it. */
  readonly key: string;
  readonly durability: Durability;
  readonly signal: AbortSignal | undefined;
  readonly coalesce?: Coalescing | undefined;
}

/** What two writes must have in common that may take each other's place. */
export type Coalescing = NonNullable<WriteTicket["coalesce"]>;

/** Runs one write when its turn has come. */
export function inTurn(
  fs: StepFs,
  wanted: QueuedWrite,
  write: (turn: Turn) => Steps<Receipt>,
): Steps<Receipt> {
  return fs.colour === "sync"
    ? overtaking(fs.state, wanted.key, wanted.durability, write)
    : queueing(fs.state, wanted, write);
}

/** A turn of one of several paths that are written together. */
export interface GroupTurn extends Turn {
  /** The receipt of the synchronous write that overtook this one. */
  overtakenBy(): Receipt | undefined;
  /** Told at the end, by a synchronous write, how it went: those it overtook end in the same way. */
  settle(outcome: NonNullable<WriteTicket["overtaken"]>): void;
}

/**
 * Runs the write of several paths when the turns of all have come. All tickets are taken in one tick: so two groups with common paths
 * are in the same order everywhere, and never wait for each other.
 */
export function* inTurns<T>(
  fs: StepFs,
  wanted: readonly { readonly key: string; readonly durability: Durability }[],
  signal: AbortSignal | undefined,
  write: (turns: readonly GroupTurn[]) => Steps<T>,
): Steps<T> {
  const { state } = fs;
  if (fs.colour === "sync") {
    return yield* write(
      wanted.map(({ key, durability }) => overtakingTurn(state, key, durability)),
    );
  }
  const tickets = new Map<string, WriteTicket>();
  const commitsLeft = new Map<string, number>();
  for (const { key } of wanted) {
    if (tickets.has(key)) continue;
    const all = wanted.filter((one) => one.key === key).map((one) => one.durability);
    tickets.set(key, takeTicket(state, { key, durability: strongest(all) }));
    commitsLeft.set(key, all.length);
  }
  try {
    for (const ticket of tickets.values()) {
      try {
        yield* waitForTurn(state, ticket, signal);
      } catch (cause) {
        // Its receipt is there already; the others go on.
        if (!(cause instanceof Overtaken)) throw cause;
      }
    }
    return yield* write(wanted.map(({ key, durability }) => {
      const ticket = tickets.get(key) as WriteTicket;
      return {
        durability,
        assertCurrent() {
          if (ticket.overtaken !== undefined) throw new Overtaken();
        },
        committed() {
          const left = (commitsLeft.get(key) as number) - 1;
          commitsLeft.set(key, left);
          // Until its last commit of the path a synchronous write can overtake what is left.
          ticket.committed = left === 0;
        },
        overtakenBy() {
          if (ticket.overtaken === undefined) return undefined;
          if ("failure" in ticket.overtaken) throw ticket.overtaken.failure;
          return { ...ticket.overtaken.receipt as Receipt, superseded: true };
        },
        settle() {},
      };
    }));
  } finally {
    for (const ticket of tickets.values()) release(state, ticket);
  }
}

/** The turn of a synchronous write, which takes over from all that have not committed. */
function overtakingTurn(state: ProcessState, key: string, durability: Durability): GroupTurn {
  const ahead = (state.writers.get(key) ?? []).filter((ticket) => !ticket.committed);
  let committed = false;
  return {
    durability: strongest([durability, ...ahead.map((ticket) => ticket.durability)]),
    assertCurrent() {},
    committed() {
      committed = true;
    },
    overtakenBy: () => undefined,
    settle(outcome) {
      // Past the commit the older writes must not bring their older content back; before it nothing has happened to them.
      if ("failure" in outcome && !committed) return;
      for (const ticket of ahead) {
        ticket.overtaken = outcome;
        ticket.wake?.();
      }
    },
  };
}

function* queueing(
  state: ProcessState,
  wanted: QueuedWrite,
  write: (turn: Turn) => Steps<Receipt>,
): Steps<Receipt> {
  const { durability, signal } = wanted;
  const ticket = takeTicket(state, wanted);
  let outcome: NonNullable<WriteTicket["settled"]> = { failure: undefined };
  try {
    yield* waitForTurn(state, ticket, signal);
    const receipt = ticket.settled === undefined
      ? yield* write({
        durability,
        assertCurrent: () => {
          if (ticket.overtaken !== undefined) throw new Overtaken();
        },
        committed: () => {
          ticket.committed = true;
        },
      })
      : endOf<Receipt>(ticket.settled);
    outcome = { receipt };
    return receipt;
  } catch (cause) {
    outcome = { failure: cause };
    if (!(cause instanceof Overtaken) || ticket.overtaken === undefined) throw cause;
    outcome = ticket.overtaken;
    const receipt = { ...endOf<Receipt>(ticket.overtaken), superseded: true } as const;
    outcome = { receipt };
    return receipt;
  } finally {
    const aborted = "failure" in outcome && isAbort(signal, outcome.failure);
    if (aborted && !ticket.committed) giveBack(state, ticket);
    else settle(ticket.replaced, outcome);
    release(state, ticket);
  }
}

/** The receipt, or the failure as an error. */
function endOf<T>(outcome: NonNullable<WriteTicket["settled"]>): T {
  if ("failure" in outcome) throw outcome.failure;
  return outcome.receipt as T;
}

/** Those whose place a write had taken end as it did. */
function settle(
  replaced: readonly WriteTicket[],
  outcome: NonNullable<WriteTicket["settled"]>,
): void {
  for (const ticket of replaced) {
    ticket.settled = "failure" in outcome
      ? outcome
      : { receipt: { ...outcome.receipt as Receipt, coalesced: true } };
    ticket.wake?.();
  }
}

/** Aborted: the latest of those whose place it had taken has the place again, for all the others. */
function giveBack(state: ProcessState, ticket: WriteTicket): void {
  const latest = ticket.replaced.pop();
  const queue = state.writers.get(ticket.key);
  const place = queue?.indexOf(ticket) ?? -1;
  if (latest === undefined || queue === undefined || place < 0) return;
  latest.replaced.push(...ticket.replaced);
  queue[place] = latest;
  if (place === 0) latest.wake?.();
}

function* overtaking(
  state: ProcessState,
  key: string,
  durability: Durability,
  write: (turn: Turn) => Steps<Receipt>,
): Steps<Receipt> {
  const turn = overtakingTurn(state, key, durability);
  try {
    const receipt = yield* write(turn);
    turn.settle({ receipt });
    return receipt;
  } catch (failure) {
    turn.settle({ failure });
    throw failure;
  }
}

function takeTicket(
  state: ProcessState,
  { key, durability, coalesce }: Omit<QueuedWrite, "signal">,
): WriteTicket {
  const { writers } = state;
  const ticket: WriteTicket = {
    key,
    durability,
    committed: false,
    overtaken: undefined,
    coalesce,
    started: false,
    replaced: [],
    settled: undefined,
    wake: undefined,
  };
  const queue = writers.get(key);
  const last = queue?.at(-1);
  if (queue === undefined) {
    writers.set(key, [ticket]);
  } else if (last !== undefined && mayReplace(ticket, last)) {
    ticket.replaced.push(...last.replaced.splice(0), last);
    queue[queue.length - 1] = ticket;
  } else {
    queue.push(ticket);
  }
  return ticket;
}

function mayReplace({ coalesce }: WriteTicket, last: WriteTicket): boolean {
  return coalesce !== undefined && coalesce.adapter === last.coalesce?.adapter &&
    coalesce.options === last.coalesce.options && !last.started && last.overtaken === undefined;
}

function* waitForTurn(
  state: ProcessState,
  ticket: WriteTicket,
  signal: AbortSignal | undefined,
): Steps<void> {
  throwIfAborted(signal);
  const isFree = (): boolean =>
    state.writers.get(ticket.key)?.[0] === ticket || ticket.overtaken !== undefined ||
    ticket.settled !== undefined;
  while (!isFree()) {
    yield* settled(
      new Promise<void>((resolve, reject) => {
        const abort = (): void => reject(signal?.reason);
        signal?.addEventListener("abort", abort, { once: true });
        ticket.wake = () => {
          signal?.removeEventListener("abort", abort);
          resolve();
        };
      }),
    );
    ticket.wake = undefined;
  }
  ticket.started = true;
  if (ticket.overtaken !== undefined) throw new Overtaken();
}

function release(state: ProcessState, ticket: WriteTicket): void {
  const { writers } = state;
  const queue = writers.get(ticket.key);
  if (queue === undefined) return;
  const place = queue.indexOf(ticket);
  if (place < 0) {
    // Replaced, or given back: whoever has the place has nothing to tell us any more.
    for (const { replaced } of queue) {
      const index = replaced.indexOf(ticket);
      if (index >= 0) replaced.splice(index, 1);
    }
    return;
  }
  queue.splice(place, 1);
  if (queue.length === 0) writers.delete(ticket.key);
  else if (place === 0) queue[0]?.wake?.();
}

function strongest(levels: readonly Durability[]): Durability {
  return levels.includes("full") ? "full" : levels.includes("file") ? "file" : "none";
}

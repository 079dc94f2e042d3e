/**
 * Writers of one path take turns.
 *
 * 1. An asynchronous write takes its ticket synchronously, in the call itself; turns come in call order.
 * 2. A ticket's key is the lexically absolute path. Two spellings through different symbolic links
 *    are two queues: each write is still atomic, only their order is not promised.
 * 3. A synchronous write never waits. It overtakes every write of the path that has not committed: those
 *    resolve with its receipt (or reject with its failure, if it failed after its commit), and it takes over
 *    the strongest durability among them, so that what resolves as durable is durable.
 * 4. Per realm: two workers, or two processes, are ordered by their renames alone.
 */

import type { ProcessState, WriteTicket } from "../base/process_state.ts";
import type { StepFs } from "../base/step_fs.ts";
import { settled, type Steps } from "../base/steps.ts";
import { throwIfAborted } from "../base/abort.ts";
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

/** Runs one write when its turn has come. */
export function inTurn(
  fs: StepFs,
  key: string,
  durability: Durability,
  signal: AbortSignal | undefined,
  write: (turn: Turn) => Steps<Receipt>,
): Steps<Receipt> {
  return fs.colour === "sync"
    ? overtaking(fs.state, key, durability, write)
    : queueing(fs.state, key, durability, signal, write);
}

function* queueing(
  state: ProcessState,
  key: string,
  durability: Durability,
  signal: AbortSignal | undefined,
  write: (turn: Turn) => Steps<Receipt>,
): Steps<Receipt> {
  const ticket = takeTicket(state, key, durability);
  try {
    yield* waitForTurn(state, ticket, signal);
    return yield* write({
      durability,
      assertCurrent: () => {
        if (ticket.overtaken !== undefined) throw new Overtaken();
      },
      committed: () => {
        ticket.committed = true;
      },
    });
  } catch (cause) {
    if (!(cause instanceof Overtaken) || ticket.overtaken === undefined) throw cause;
    if ("failure" in ticket.overtaken) throw ticket.overtaken.failure;
    return { ...ticket.overtaken.receipt as Receipt, superseded: true };
  } finally {
    release(state, ticket);
  }
}

function* overtaking(
  state: ProcessState,
  key: string,
  durability: Durability,
  write: (turn: Turn) => Steps<Receipt>,
): Steps<Receipt> {
  const ahead = (state.writers.get(key) ?? []).filter((ticket) => !ticket.committed);
  let committed = false;
  const end = (overtaken: NonNullable<WriteTicket["overtaken"]>): void => {
    for (const ticket of ahead) {
      ticket.overtaken = overtaken;
      ticket.wake?.();
    }
  };
  try {
    const receipt = yield* write({
      durability: strongest([durability, ...ahead.map((ticket) => ticket.durability)]),
      assertCurrent: () => {},
      committed: () => {
        committed = true;
      },
    });
    end({ receipt });
    return receipt;
  } catch (failure) {
    // Past the commit the older writes must not bring their older content back.
    if (committed) end({ failure });
    throw failure;
  }
}

function takeTicket(state: ProcessState, key: string, durability: Durability): WriteTicket {
  const { writers } = state;
  const ticket: WriteTicket = {
    key,
    durability,
    committed: false,
    overtaken: undefined,
    wake: undefined,
  };
  const queue = writers.get(key);
  if (queue === undefined) writers.set(key, [ticket]);
  else queue.push(ticket);
  return ticket;
}

function* waitForTurn(
  state: ProcessState,
  ticket: WriteTicket,
  signal: AbortSignal | undefined,
): Steps<void> {
  throwIfAborted(signal);
  if (state.writers.get(ticket.key)?.[0] !== ticket) {
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
  if (ticket.overtaken !== undefined) throw new Overtaken();
}

function release(state: ProcessState, ticket: WriteTicket): void {
  const { writers } = state;
  const queue = writers.get(ticket.key);
  const place = queue?.indexOf(ticket) ?? -1;
  if (queue === undefined || place < 0) return;
  queue.splice(place, 1);
  if (queue.length === 0) writers.delete(ticket.key);
  else if (place === 0) queue[0]?.wake?.();
}

function strongest(levels: readonly Durability[]): Durability {
  return levels.includes("full") ? "full" : levels.includes("file") ? "file" : "none";
}

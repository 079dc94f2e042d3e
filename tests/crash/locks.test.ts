import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { FileLock, type FsAdapter } from "@crashsafe/fs";
import type { ProcessBody, ScheduleState } from "@crashsafe/fs/testing";
import { exhaustive, holds, scheduled } from "../support/explored.ts";

const LOCK = "/lock";

/** Waits for the lock, is inside for a moment, gives it back. */
function holder(shared = false): ProcessBody {
  return async (adapter, note) => {
    const lock = await FileLock.acquire(LOCK, { adapter, shared });
    note(shared ? "reads" : "writes");
    await adapter.async.stat("/data");
    note("out");
    await lock.release();
  };
}

function insiders({ processes }: ScheduleState, what: string): number {
  return Object.values(processes).filter(({ facts, outcome }) =>
    outcome === "running" && facts.at(-1) === what
  ).length;
}

/** One writer, or readers; nobody fails, everybody gets in. */
function exclusive(state: ScheduleState): string | undefined {
  const [writers, readers] = [insiders(state, "writes"), insiders(state, "reads")];
  if (writers > 1 || (writers > 0 && readers > 0)) {
    return `I8: ${writers} writers, ${readers} readers`;
  }
  for (const [name, { outcome, error, facts }] of Object.entries(state.processes)) {
    if (outcome === "rejected") return `${name} failed: ${error}`;
    if (state.kind === "end" && outcome === "resolved" && facts.length !== 2) {
      return `${name} never got in`;
    }
  }
  const unnamed = state.locks.find(({ nlink }) => nlink === 0);
  return unnamed && writers > 0
    ? `I8: process ${unnamed.pid} holds a file without a name`
    : undefined;
}

const setup = (fs: { sync: FsAdapter["sync"] }): void => fs.sync.mkdir("/data", 0o755);

describe("FileLock", () => {
  test("lets one of two processes in at a time, whoever is killed", async () => {
    const report = await scheduled({
      setup,
      processes: { a: holder(), b: holder() },
      check: exclusive,
      kills: 2,
    });
    holds(report);
    assert.ok(report.complete && report.ends > 3);
  });

  test("lets readers in together and writers alone", async () => {
    const report = await scheduled({
      setup,
      processes: { a: holder(true), b: holder(true), c: holder() },
      check: exclusive,
      kills: exhaustive ? 1 : 0,
    });
    holds(report);
    assert.ok(report.complete);
  });

  test("goes from one waiter of a process to the next, and to another process, with kills", async () => {
    const report = await scheduled({
      setup,
      processes: { both: [holder(), holder()], other: holder() },
      check: exclusive,
      kills: exhaustive ? 1 : 0,
    });
    holds(report);
    assert.ok(report.complete);
  });

  test("tried by three processes is had by one, and null for the others", async () => {
    const attempt: ProcessBody = async (adapter, note) => {
      const lock = await FileLock.tryAcquire(LOCK, { adapter });
      if (lock === null) return note("null");
      note("writes");
      await adapter.async.stat("/data");
      note("out");
      await lock.release();
    };
    const report = await scheduled({
      setup,
      processes: { a: attempt, b: attempt, c: attempt },
      check(state) {
        const writers = insiders(state, "writes");
        if (writers > 1) return `I8: ${writers} holders`;
        const facts = Object.values(state.processes).map((one) => one.facts.join());
        if (Object.values(state.processes).some((one) => one.outcome === "rejected")) {
          return "a try failed";
        }
        return state.kind === "end" && facts.every((one) => one === "null")
          ? "nobody got it"
          : undefined;
      },
      kills: exhaustive ? 1 : 0,
    });
    holds(report);
    assert.ok(report.complete);
  });
});

// The check must have teeth: small protocols for temporary directories with a lock file beside each, run in every order
// with kills, and the mistakes that let a recovery delete a live directory (I10). podman's race is the first.

import { describe, test } from "node:test";
import assert from "node:assert/strict";
import type { FsHandle, FsOps } from "@crashsafe/fs";
import type { ProcessBody, ScheduleScenario, ScheduleState } from "@crashsafe/fs/testing";
import { breaks, exhaustive, holds, scheduled } from "../support/explored.ts";

const FIRST = { maxViolations: 1 };

type Mistake =
  | "lock file made, closed, then locked"
  | "deletes before it locks"
  | "trusts a listing"
  | "unlinks the lock after unlocking";

/** A directory that is alive is there, and its lock file has its name. */
function alive({ processes, tree }: ScheduleState): string | undefined {
  for (const [name, { facts, outcome }] of Object.entries(processes)) {
    const id = facts.at(-1);
    if (outcome !== "running" || id === undefined || id === "done") continue;
    if (!tree.has(`/temp-dir-${id}/`)) return `I10: the directory of ${name} was removed`;
  }
  return undefined;
}

async function attempt(...calls: (() => unknown)[]): Promise<boolean> {
  for (const call of calls) {
    try {
      await call();
    } catch {
      return false;
    }
  }
  return true;
}

async function opened(ops: FsOps, path: string): Promise<FsHandle | undefined> {
  try {
    return await ops.open(path, { access: "read-write", noFollow: true, lockable: true });
  } catch {
    return undefined;
  }
}

async function same(ops: FsOps, file: FsHandle, path: string): Promise<boolean> {
  const ours = await ops.fstat(file);
  return ours.nlink > 0 && ours.ino === (await ops.lstat(path))?.ino;
}

/** Makes temp-dir-x with its lock, uses it, removes it. */
function creator(mistake?: Mistake): ProcessBody {
  return async ({ async: ops, process: { pid } }, note) => {
    const lock = await lockFor(ops, pid, mistake);
    if (lock === undefined) return;
    if (!await attempt(() => ops.mkdir("/temp-dir-x", 0o700))) return;
    note("x");
    await ops.stat("/temp-dir-x");
    note("done");
    await attempt(() => ops.rmdir("/temp-dir-x"));
    await attempt(() => ops.unlink("/lock-x"));
    await ops.close(lock);
  };
}

async function lockFor(ops: FsOps, pid: number, mistake?: Mistake): Promise<FsHandle | undefined> {
  if (mistake === "lock file made, closed, then locked") {
    await ops.close(await ops.open("/lock-x", { access: "write", create: "exclusive" }));
    const file = await opened(ops, "/lock-x");
    return file !== undefined && await ops.flock(file, "exclusive") ? file : undefined;
  }
  if (mistake === "unlinks the lock after unlocking") {
    // A name that was used before, as a counter or a process id makes them: whoever gets its lock may use it.
    const file = await ops.open("/lock-x", {
      access: "read-write",
      create: "if-missing",
      lockable: true,
    });
    return await ops.flock(file, "exclusive") && await same(ops, file, "/lock-x")
      ? file
      : undefined;
  }
  const born = `/.new-${pid}`;
  const file = await ops.open(born, { access: "read-write", create: "exclusive" });
  // Born locked, looked at, published by link; EEXIST would mean another directory of that name.
  const ours = await ops.flock(file, "exclusive") && await same(ops, file, born) &&
    await attempt(() => ops.link(born, "/lock-x"), () => ops.unlink(born));
  return ours ? file : undefined;
}

/** Removes temp-dir-x if its owner is dead. */
function recoverer(mistake?: Mistake): ProcessBody {
  return async ({ async: ops, process: { pid } }) => {
    const listed = await ops.readdir("/");
    // Two listings, as two globs make them: what the first one did not show may be there by now.
    const dirs = mistake === "trusts a listing" ? await ops.readdir("/") : listed;
    if (!dirs.some(({ name }) => name === "temp-dir-x" || name === "lock-x")) return;
    if (mistake === "deletes before it locks") await attempt(() => ops.rmdir("/temp-dir-x"));
    if (mistake === "trusts a listing" && !listed.some(({ name }) => name === "lock-x")) {
      await attempt(() => ops.rmdir("/temp-dir-x"));
      return;
    }
    let lock = await opened(ops, "/lock-x");
    if (lock !== undefined) {
      if (!await ops.flock(lock, "exclusive") || !await same(ops, lock, "/lock-x")) {
        await ops.close(lock);
        return;
      }
    } else {
      // No lock file: make one that is born locked; EEXIST means that it is not lockless after all.
      const born = `/.new-${pid}`;
      lock = await ops.open(born, { access: "read-write", create: "exclusive" });
      await ops.flock(lock, "exclusive");
      const ours = await attempt(() => ops.link(born, "/lock-x"));
      await ops.unlink(born);
      if (!ours) {
        await ops.close(lock);
        return;
      }
    }
    await attempt(() => ops.rmdir("/temp-dir-x"));
    if (mistake === "unlinks the lock after unlocking") await ops.funlock(lock);
    await attempt(() => ops.unlink("/lock-x"));
    await ops.close(lock);
  };
}

/** Recovers twice, as every start of a program does. */
function twice(body: ProcessBody): ProcessBody {
  return async (fs, note) => {
    await body(fs, note);
    await body(fs, note);
  };
}

function scene(mistake?: Mistake): ScheduleScenario {
  return {
    processes: { creator: creator(mistake), recoverer: twice(recoverer(mistake)) },
    check: alive,
  };
}

describe("a temporary directory with a lock file", () => {
  test("is never removed while its owner lives", async () => {
    holds(await scheduled(scene()));
    if (!exhaustive) return;
    holds(
      await scheduled({
        processes: { creator: creator(), one: recoverer(), two: recoverer() },
        check: alive,
      }),
    );
  });

  test("is removed live by podman's race: the lock file exists unlocked for a moment", async () => {
    const story = breaks(
      await scheduled(scene("lock file made, closed, then locked"), FIRST),
      "I10",
    );
    // The creator holds an inode without a name, and the next recovery finds a directory without a lock.
    assert.match(
      story,
      /recoverer: unlink \/lock-x[^]*creator: mkdir \/temp-dir-x[^]*recoverer: rmdir \/temp-dir-x/,
    );
  });

  for (
    const mistake of [
      "deletes before it locks",
      "trusts a listing",
      "unlinks the lock after unlocking",
    ] as const
  ) {
    test(`is removed live when the recovery ${mistake}`, async () => {
      const scenario = scene(mistake);
      const stale: ScheduleScenario = mistake === "unlinks the lock after unlocking"
        ? {
          ...scenario,
          setup(fs) {
            fs.sync.close(fs.sync.open("/lock-x", { access: "write", create: "exclusive" }));
          },
        }
        : scenario;
      breaks(await scheduled(stale, FIRST), "I10");
    });
  }
});

import { describe, test } from "node:test";
import assert from "node:assert/strict";
import {
  atomicWriteSync,
  createTempFile,
  type FsAdapter,
  recoverStaleDirs,
  recoverStaleDirsSync,
  sweepOrphans,
  TempDir,
} from "@crashsafe/fs";
import type { CrashImage, MemoryFs, ProcessBody, ScheduleState } from "@crashsafe/fs/testing";
import { exhaustive, explored, holds, scheduled } from "../support/explored.ts";

const MEMORY = { pageBytes: 32 };
const OURS = /^\/root\/(?:lock-|temp-dir-|\.new-)[a-z2-7]{26}(?:\/|$)/;

function put(fs: Pick<FsAdapter, "sync">, path: string, content: string): void {
  const file = fs.sync.open(path, { access: "write", create: "exclusive", mode: 0o644 });
  fs.sync.write(file, new TextEncoder().encode(content));
  fs.sync.close(file);
}

function withData(fs: MemoryFs): void {
  fs.sync.mkdir("/root", 0o700);
  fs.sync.mkdir("/store", 0o755);
  put(fs, "/store/old", "old");
}

/** What is in the root although nobody lives. */
function leftovers(tree: CrashImage): readonly string[] {
  return [...tree.keys()].filter((path) => path.startsWith("/root/") && path !== "/root/");
}

describe("the life of a temporary directory", () => {
  test("leaves what a recovery removes, at every kill and power cut; durable staging stays done", async () => {
    const report = await explored({
      setup: withData,
      async run(adapter, note) {
        const temp = await TempDir.create("/root", { adapter });
        try {
          await temp.stageDeletion("/store/old", { durability: "full" });
          note("deleted");
          const addition = temp.stageAddition();
          atomicWriteSync(addition.path, "new", { adapter, durability: "none" });
          await addition.commit("/store/new", { durability: "full" });
          note("added");
        } finally {
          await temp.cleanup();
        }
      },
      recover: (adapter) => recoverStaleDirs("/root", { adapter }),
      check({ tree, facts, recovered }) {
        const strange = leftovers(tree).find((path) => !OURS.test(path));
        if (strange !== undefined) return `I6: ${strange} is not recognised`;
        if (facts.includes("deleted") && tree.has("/store/old")) {
          return "I2: the deletion came back";
        }
        const added = tree.get("/store/new")?.content;
        if (facts.includes("added") && added !== "new") return `I2: the addition is ${added}`;
        if (added !== undefined && added !== "new") return `I1: the addition is ${added}`;
        if (!tree.has("/store/")) return "I6: the store is gone";
        return recovered && leftovers(tree).length > 0 ? `I6: left: ${leftovers(tree)}` : undefined;
      },
      faults: exhaustive,
      // A cleanup that fails keeps the lock.
      keepsHandles: true,
    }, { memory: MEMORY });
    holds(report);
    assert.ok(report.kills > 20 && report.powerCuts > 20 && report.recoveries > 20);
  });

  test("with a directory added: whole or not there", async () => {
    const report = await explored({
      setup: withData,
      async run(adapter, note) {
        const temp = await TempDir.create("/root", { adapter });
        const addition = temp.stageAddition();
        adapter.sync.mkdir(addition.path, 0o755);
        put(adapter, `${addition.path}/a`, "one");
        await addition.commit("/store/tree", { durability: "full" });
        note("added");
        await temp.cleanup();
      },
      recover: (adapter) => recoverStaleDirsSync("/root", { adapter }),
      check({ tree, facts, recovered }) {
        const there = tree.has("/store/tree/");
        if (facts.includes("added") && !there) return "I2: the addition is gone";
        if (there && tree.get("/store/tree/a")?.content !== "one") {
          return "I1: the addition is not whole";
        }
        return recovered && leftovers(tree).length > 0 ? `I6: left: ${leftovers(tree)}` : undefined;
      },
      faults: false,
    }, { memory: MEMORY });
    holds(report);
  });
});

/** Makes a directory, uses it, cleans up; tells where it is while it lives. */
const creator: ProcessBody = async (adapter, note) => {
  const temp = await TempDir.create("/root", { adapter });
  note(temp.path);
  await adapter.async.stat("/store");
  if (await adapter.async.stat(temp.path) === undefined) throw new Error("my directory is gone");
  note("ending");
  await temp.cleanup();
  note("done");
};

const recoverer: ProcessBody = async (adapter, note) => {
  const { failed } = await recoverStaleDirs("/root", { adapter });
  const [first] = failed;
  if (first !== undefined) throw first.error;
  note("recovered");
};

/** A living directory is there, nobody fails, and what was held has a name. */
function alive(state: ScheduleState): string | undefined {
  for (const [name, { facts, outcome, error }] of Object.entries(state.processes)) {
    if (outcome === "rejected") return `${name} failed: ${error}`;
    const last = facts.at(-1);
    // Before a recovery everybody was killed.
    if (state.recovered) continue;
    if (outcome !== "running" || last === undefined || !last.startsWith("/root/")) continue;
    if (!state.tree.has(`${last}/`)) return `I10: the directory of ${name} was removed`;
  }
  const strange = leftovers(state.tree).find((path) => !OURS.test(path));
  return strange === undefined ? undefined : `I6: ${strange} is not recognised`;
}

/** And nothing is left when all have ended by themselves. */
function clean(state: ScheduleState): string | undefined {
  const broken = alive(state);
  if (broken !== undefined) return broken;
  const all = Object.values(state.processes);
  const ended = state.kind === "end" && all.every(({ outcome }) => outcome === "resolved");
  return (ended || state.recovered) && leftovers(state.tree).length > 0
    ? `I6: left: ${leftovers(state.tree)}`
    : undefined;
}

describe("temporary directories beside recoveries, in every order", () => {
  test("one of each, with kills, and a last recovery that leaves nothing", async () => {
    const report = await scheduled({
      setup: withData,
      processes: { creator, recoverer },
      check: clean,
      recover: (adapter) => recoverStaleDirs("/root", { adapter }),
      kills: 2,
    }, { memory: MEMORY });
    holds(report);
    assert.ok(report.complete && report.ends > 10);
  });

  test("two creators", async () => {
    const report = await scheduled({
      setup: withData,
      processes: { one: creator, two: creator },
      check: clean,
      kills: exhaustive ? 2 : 1,
    }, { memory: MEMORY });
    holds(report);
    assert.ok(report.complete);
  });

  test("two recoverers of what a dead one left, and of a directory whose lock a power cut took", async () => {
    const report = await scheduled({
      setup(fs) {
        withData(fs);
        const id = "a".repeat(26);
        put(fs, `/root/lock-${id}`, "");
        fs.sync.mkdir(`/root/temp-dir-${id}`, 0o700);
        put(fs, `/root/temp-dir-${id}/0-file`, "staged");
        fs.sync.mkdir(`/root/temp-dir-${"b".repeat(26)}`, 0o700);
      },
      processes: { one: recoverer, two: recoverer },
      check: clean,
      recover: (adapter) => recoverStaleDirs("/root", { adapter }),
      kills: exhaustive ? 1 : 0,
    }, { memory: MEMORY });
    holds(report);
    assert.ok(report.complete || !exhaustive);
  });

  test("a creator and two recoverers", async () => {
    const report = await scheduled({
      setup: withData,
      processes: { creator, one: recoverer, two: recoverer },
      check: clean,
      kills: exhaustive ? 1 : 0,
    }, { memory: MEMORY, ...(exhaustive ? {} : { maxStates: 4_000 }) });
    holds(report);
  });

  test("a stager, who puts away and adds, beside a recoverer and power cuts", async () => {
    const stager: ProcessBody = async (adapter, note) => {
      const temp = await TempDir.create("/root", { adapter });
      note(temp.path);
      await temp.stageDeletion("/store/old", { durability: "full" });
      note(temp.path + " deleted");
      await temp.cleanup();
      note("done");
    };
    const report = await scheduled({
      setup: withData,
      processes: { stager, recoverer },
      check(state) {
        const { facts = [], outcome, error } = state.processes["stager"] ?? {};
        if (outcome === "rejected") return `the stager failed: ${error}`;
        const deleted = facts.some((fact) => fact.endsWith("deleted"));
        if (deleted && state.tree.has("/store/old")) return "I2: the deletion came back";
        return state.recovered && leftovers(state.tree).length > 0
          ? `I6: left: ${leftovers(state.tree)}`
          : undefined;
      },
      recover: (adapter) => recoverStaleDirs("/root", { adapter }),
      powerCuts: ["posix"],
      kills: 0,
    }, { memory: MEMORY, ...(exhaustive ? {} : { maxStates: 2_000 }) });
    holds(report);
  });
});

describe("the sweep beside the living, in every order", () => {
  const holder: ProcessBody = async (adapter, note) => {
    const file = await createTempFile("/store", { adapter });
    await file.write("content");
    const closed = await file.close();
    note("closed");
    await closed.persist("/store/target", { durability: "none" });
    note("persisted");
  };
  const sweeper: ProcessBody = async (adapter) => {
    const { failed } = await sweepOrphans("/store", { adapter, minAgeMs: 0 });
    if (failed[0] !== undefined) throw failed[0].error;
  };

  test("harms nobody, and leaves nothing of the dead", async () => {
    const report = await scheduled({
      setup: withData,
      processes: { holder, sweeper },
      check({ processes: { holder: one, sweeper: other }, tree, kind, recovered }) {
        for (
          const { outcome, error } of [
            one ?? {},
            other ?? {},
          ] as ScheduleState["processes"][string][]
        ) {
          if (outcome === "rejected") return `I6: ${error}`;
        }
        if (kind === "end" && one?.outcome === "resolved") {
          const content = tree.get("/store/target")?.content;
          if (content !== "content") return `I6: the target is ${content}`;
        }
        const temps = [...tree.keys()].filter((path) => path.endsWith(".cs1l"));
        return recovered && temps.length > 0 ? `I6: left: ${temps}` : undefined;
      },
      recover: (adapter) => sweepOrphans("/store", { adapter }),
      kills: 2,
    }, { memory: MEMORY });
    holds(report);
    assert.ok(report.complete);
  });

  test("two sweeps and a writer", async () => {
    const report = await scheduled({
      setup: withData,
      processes: { holder, one: sweeper, two: sweeper },
      check({ processes }) {
        const failed = Object.values(processes).find(({ outcome }) => outcome === "rejected");
        return failed && `I6: ${failed.error}`;
      },
      kills: exhaustive ? 1 : 0,
    }, { memory: MEMORY, ...(exhaustive ? {} : { maxStates: 4_000 }) });
    holds(report);
  });
});

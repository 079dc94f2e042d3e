import { describe, test } from "node:test";
import assert from "node:assert/strict";
import {
  cleanupTempFiles,
  createTempFile,
  type FsAdapter,
  LockedUpdate,
  tempFileAt,
} from "@crashsafe/fs";
import type { MemoryFs, ProcessBody, ScheduleState } from "@crashsafe/fs/testing";
import { exhaustive, explored, holds, scheduled } from "../support/explored.ts";
import { sweepDead, sweepTemps, TEMP_NAME } from "../support/sweep.ts";

const MEMORY = { pageBytes: 32 };

function withOld(fs: MemoryFs): void {
  const old = fs.sync.open("/target", { access: "write", create: "exclusive", mode: 0o644 });
  fs.sync.write(old, new TextEncoder().encode("old"));
  fs.sync.close(old);
}

describe("a temporary file that is persisted", () => {
  test("leaves old or new after a kill, a power cut or a fault at any operation", async () => {
    const report = await explored({
      setup: withOld,
      async run(adapter, note) {
        const file = await createTempFile("/", { adapter });
        try {
          await file.write("new");
          await file.persist("/target");
          note("durable");
        } finally {
          await file.dispose();
        }
      },
      recover: (adapter) => sweepTemps(adapter, "/"),
      check({ tree, facts, recovered }) {
        const content = tree.get("/target")?.content;
        if (content !== "old" && content !== "new") return `I1: ${content}`;
        if (facts.includes("durable") && content !== "new") return "I2: what resolved is gone";
        const others = [...tree.keys()].filter((path) => path !== "/target");
        if (others.some((path) => !TEMP_NAME.test(path.slice(1)))) return `I6: ${others}`;
        return recovered && others.length > 0 ? "I6: the recovery left a file" : undefined;
      },
    }, { memory: MEMORY });
    holds(report);
    assert.ok(report.kills > 10 && report.powerCuts > 10 && report.faults > 10);
  });
});

/** Makes a file under a name that all agree on, and commits or drops it. */
function marker(end: "persist" | "dispose" | "clean up"): ProcessBody {
  return async (adapter: FsAdapter, note) => {
    const file = await tempFileAt("/name", { adapter });
    await file.write(`of ${end}`);
    if (end === "persist") {
      await file.persist("/target", { durability: "none" });
      note("persisted");
    }
    if (end === "clean up") cleanupTempFiles({ adapter });
    await file.dispose();
    // Whatever a late cleanup takes must be its own.
    cleanupTempFiles({ adapter });
  };
}

/** Takes the name as soon as it is free, and keeps its file. */
const stranger: ProcessBody = async (adapter, note) => {
  for (let attempt = 0; attempt < 3; attempt++) {
    try {
      const file = await adapter.async.open("/name", { access: "write", create: "exclusive" });
      note("mine");
      await adapter.async.close(file);
      return;
    } catch (error) {
      if ((error as { code?: string }).code !== "EEXIST") throw error;
    }
  }
};

describe("a name that a caller chose", () => {
  for (const end of ["persist", "dispose", "clean up"] as const) {
    test(`is not taken from a stranger who has it by now: ${end}`, async () => {
      const report = await scheduled({
        setup: withOld,
        processes: { ours: marker(end), stranger },
        check(state: ScheduleState) {
          const { processes: { ours, stranger: other }, tree } = state;
          if (other?.facts.includes("mine") && !tree.has("/name")) {
            return "a stranger's file is gone";
          }
          const code = (ours?.error as { code?: string } | undefined)?.code;
          if (ours?.outcome === "rejected" && code !== "EEXIST") {
            return `ours failed: ${ours.error}`;
          }
          const content = tree.get("/target")?.content;
          return content === "old" || content === "of persist" ? undefined : `I1: ${content}`;
        },
        kills: exhaustive ? 2 : 1,
      }, { memory: { ...MEMORY, reuseInodes: true } });
      holds(report);
      assert.ok(report.complete && report.ends > 2);
    });
  }
});

describe("closed handles", () => {
  test("are never taken by a sweep while their process lives, and always after it", async () => {
    const report = await scheduled({
      processes: {
        holder: async (adapter, note) => {
          const closed = await (await createTempFile("/", { adapter })).close();
          note("closed");
          await adapter.async.stat("/");
          note("persisting");
          await closed.persist("/target", { durability: "none" });
          note("persisted");
        },
        sweeper: async (adapter) => {
          await sweepDead(adapter, "/");
          await sweepDead(adapter, "/");
        },
      },
      check({ processes: { holder }, tree, kind }) {
        const last = holder?.facts.at(-1);
        if (holder?.outcome === "rejected") return `I9: the holder failed: ${holder.error}`;
        if (holder?.outcome === "killed") return undefined;
        const there = [...tree.keys()].some((path) => TEMP_NAME.test(path.slice(1)));
        if (last === "closed" && !there) return "I9: a living file was swept";
        return kind === "end" && last === "persisted" && there ? "I5: a file is left" : undefined;
      },
      kills: 1,
    }, { memory: MEMORY });
    holds(report);
    assert.ok(report.complete);
  });
});

describe("locked updates of two processes", () => {
  test("lose nothing: each reads what the one before it committed", async () => {
    const increment: ProcessBody = async (adapter, note) => {
      let update: LockedUpdate;
      try {
        update = await LockedUpdate.acquire("/target", { adapter, durability: "none" });
      } catch {
        return note("busy");
      }
      const file = await adapter.async.open("/target", { access: "read" });
      const buffer = new Uint8Array(8);
      const count = await adapter.async.read(file, buffer);
      await adapter.async.close(file);
      const old = new TextDecoder().decode(buffer.subarray(0, count));
      await update.write(`${old}+`);
      await update.commit();
      note("done");
    };
    const report = await scheduled({
      setup: withOld,
      processes: { a: increment, b: increment },
      check({ processes, tree, kind }) {
        const all = Object.values(processes);
        const failed = all.find(({ outcome }) => outcome === "rejected");
        if (failed) return `an update failed: ${failed.error}`;
        if (kind !== "end" || all.some(({ outcome }) => outcome === "killed")) return undefined;
        const done = all.filter(({ facts }) => facts[0] === "done").length;
        const content = tree.get("/target")?.content;
        if (content !== `old${"+".repeat(done)}`) return `an update is lost: ${content} of ${done}`;
        return tree.has("/target.lock") ? "the lock is left" : undefined;
      },
      kills: 1,
    }, { memory: MEMORY });
    holds(report);
    assert.ok(report.complete && report.ends > 2);
  });
});

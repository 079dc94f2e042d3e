import { describe, test } from "node:test";
import assert from "node:assert/strict";
import {
  atomicWrite,
  atomicWriteAll,
  atomicWriteAllSync,
  GroupPublishError,
  type WriteAllOptions,
  type WriteAllResult,
  type WriteEntry,
} from "@crashsafe/fs";
import type { CrashScenario, FaultFs, MemoryFs, ProcessBody } from "@crashsafe/fs/testing";
import { exhaustive, explored, holds, scheduled } from "../support/explored.ts";
import { sweepTemps, TEMP_NAME } from "../support/sweep.ts";

const MEMORY = { pageBytes: 32 };
const OLD = ["/a", "/dir/b"];
const PATHS = [...OLD, "/dir/c"];

function setup(fs: MemoryFs): void {
  fs.sync.mkdir("/dir", 0o755);
  for (const path of OLD) {
    const file = fs.sync.open(path, { access: "write", create: "exclusive", mode: 0o644 });
    fs.sync.write(file, new TextEncoder().encode("old"));
    fs.sync.close(file);
  }
}

type WriteAll = (
  entries: readonly WriteEntry[],
  options?: WriteAllOptions,
) => WriteAllResult | Promise<WriteAllResult>;

const CALLS: readonly (readonly [string, WriteAll])[] = [
  ["atomicWriteAll", atomicWriteAll],
  ["atomicWriteAllSync", atomicWriteAllSync],
];

describe("each file of a group is old or new after a kill, a power cut or a fault at any operation", () => {
  for (const [name, writeAll] of CALLS) {
    test(name, async () => {
      const scenario: CrashScenario = {
        setup,
        async run(adapter, note) {
          try {
            await writeAll(PATHS.map((path) => ({ path, data: "new" })), { adapter });
            note("durable");
          } catch (error) {
            if (!(error instanceof GroupPublishError)) throw error;
            for (const { path, durability } of error.published) {
              if (durability === "full") note(`durable ${path}`);
            }
            for (const path of error.unpublished) note(`untouched ${path}`);
          }
        },
        recover: (adapter) => sweepTemps(adapter, "/"),
        check({ tree, facts, recovered }) {
          for (const path of PATHS) {
            const content = tree.get(path)?.content;
            const wasThere = OLD.includes(path);
            if (content !== "new" && content !== (wasThere ? "old" : undefined)) {
              return `I9: ${path} is ${content}`;
            }
            const promised = facts.includes("durable") || facts.includes(`durable ${path}`);
            if (promised && content !== "new") return `I2: ${path} is ${content}`;
            if (facts.includes(`untouched ${path}`) && content === "new") {
              return `I5: ${path} was published`;
            }
          }
          const others = [...tree.keys()].filter((path) => ![...PATHS, "/dir/"].includes(path));
          const strange = others.find((path) => !TEMP_NAME.test(path.split("/").at(-1) ?? ""));
          if (strange !== undefined) return `I6: ${strange}`;
          return recovered && others.length > 0 ? "I6: the recovery left a file" : undefined;
        },
        // The same steps: their faults once.
        faults: exhaustive && writeAll === atomicWriteAll,
      };
      const report = await explored(scenario, { memory: MEMORY });
      holds(report);
      const reusing: CrashScenario = { ...scenario, profiles: ["block-reuse"], faults: false };
      holds(await explored(reusing, { memory: MEMORY }));
      assert.ok(report.kills > 20 && report.powerCuts > 20);
    });
  }
});

test("a synchronous group of many files is durable by one syncfs", async () => {
  const paths = Array.from({ length: 8 }, (_, index) => `/dir/${index}`);
  let syncs = 0;
  const report = await explored({
    setup: (fs) => fs.sync.mkdir("/dir", 0o755),
    run(adapter, note) {
      atomicWriteAllSync(paths.map((path) => ({ path, data: "new" })), { adapter });
      syncs = (adapter as FaultFs).log.filter(({ kind }) => kind === "syncFs").length;
      note("durable");
    },
    check({ tree, facts }) {
      for (const path of paths) {
        const content = tree.get(path)?.content;
        if (content !== undefined && content !== "new") return `I9: ${path} is ${content}`;
        if (facts.includes("durable") && content !== "new") return `I2: ${path} is ${content}`;
      }
      return undefined;
    },
    recover: (adapter) => sweepTemps(adapter, "/"),
    faults: false,
  }, { memory: MEMORY, maxImages: exhaustive ? 1_000 : 50 });
  holds(report);
  assert.equal(syncs, 1);
  assert.ok(report.powerCuts > 20);
});

test("groups and single writes of the same paths, in every order, end and lose nothing", async () => {
  const group = (data: string, paths: readonly string[]): ProcessBody => async (adapter, note) => {
    await atomicWriteAll(paths.map((path) => ({ path, data })), { adapter, durability: "none" });
    note("done");
  };
  const single: ProcessBody = async (adapter, note) => {
    await atomicWrite("/a", "single", { adapter, durability: "none" });
    note("done");
  };
  const report = await scheduled({
    setup,
    processes: {
      both: [group("one", ["/a", "/dir/b"]), group("two", ["/dir/b", "/a"])],
      other: single,
    },
    check({ processes, tree, kind }) {
      const failed = Object.values(processes).find(({ outcome }) => outcome === "rejected");
      if (failed !== undefined) return `a writer failed: ${failed.error}`;
      const contents = [tree.get("/a")?.content, tree.get("/dir/b")?.content];
      if (contents.some((one) => !["old", "one", "two", "single"].includes(one ?? ""))) {
        return `I9: ${contents}`;
      }
      // The second group has its turn after the first, everywhere.
      return kind === "end" && contents[1] !== "two" ? `I3: /dir/b is ${contents[1]}` : undefined;
    },
    kills: 0,
  }, { memory: MEMORY, ...(exhaustive ? {} : { maxStates: 20_000 }) });
  holds(report);
  assert.ok(report.ends > 0);
});

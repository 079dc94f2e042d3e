import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { atomicWrite, type FsAdapter } from "@crashsafe/fs";
import type { ProcessBody, ScheduleState } from "@crashsafe/fs/testing";
import { exhaustive, holds, scheduled } from "../support/explored.ts";
import { sweepDead, sweepTemps, TEMP_NAME } from "../support/sweep.ts";

const MEMORY = { pageBytes: 32 };

/** Writes one version; notes when it is durable. */
function writer(version: string, existing: "replace" | "fail" = "replace"): ProcessBody {
  return async (adapter: FsAdapter, note) => {
    const receipt = await atomicWrite("/file", version, { adapter, existing });
    note(receipt.superseded ? "superseded" : `durable ${version}`);
  };
}

/** As the runtimes': only fsyncs take time. A directory is synced as it is when the call begins; the answer comes later. */
function syncingEarly(fs: FsAdapter, count: () => void): FsAdapter {
  return {
    ...fs,
    async: {
      ...fs.sync,
      fsync: exhaustive ? fs.async.fsync : fs.sync.fsync,
      sleep: fs.async.sleep,
      async fsyncDir(handle) {
        count();
        fs.sync.fsyncDir(handle);
        await fs.async.stat("/");
      },
    },
  };
}

function contentOf({ tree }: ScheduleState): string | undefined {
  return tree.get("/file")?.content;
}

/** One whole version, or none before the first commit. */
function whole(versions: readonly string[]): (state: ScheduleState) => string | undefined {
  return (state) => {
    const content = contentOf(state);
    const known = content === undefined || versions.includes(content);
    if (!known) return `I1: the file holds ${JSON.stringify(content)}`;
    const durable = Object.values(state.processes).some(({ facts }) =>
      facts[0]?.startsWith("durable")
    );
    if (durable && content === undefined) return "I2: an acknowledged file is missing";
    const strange = [...state.tree.keys()].find((path) =>
      path !== "/file" && !TEMP_NAME.test(path.slice(1))
    );
    if (strange !== undefined) return `I6: ${strange}`;
    const rejected = Object.values(state.processes).find(({ outcome }) => outcome === "rejected");
    if (rejected !== undefined) return `a writer failed: ${rejected.error}`;
    const dead = Object.values(state.processes).some(({ outcome }) => outcome === "killed");
    const left = [...state.tree.keys()].length > 1;
    if (state.recovered && left) return "I6: the recovery left a file";
    return state.kind === "end" && !dead && left ? "I5: a temporary file is left" : undefined;
  };
}

describe("writers of one path", () => {
  test("in two processes, in every order, with a kill anywhere and a sweep after it", async () => {
    const report = await scheduled({
      processes: { a: writer("A"), b: writer("B") },
      check: whole(["A", "B"]),
      recover: (adapter) => sweepTemps(adapter, "/"),
    }, { memory: MEMORY });
    holds(report);
    assert.ok(report.complete && report.ends > 0 && report.longest >= 20);
  });

  test("in two processes with power cuts", async () => {
    const report = await scheduled({
      processes: { a: writer("A"), b: writer("B") },
      check: whole(["A", "B"]),
      kills: 0,
      powerCuts: exhaustive ? ["posix", "ordered"] : ["ordered"],
    }, { memory: MEMORY });
    holds(report);
    assert.ok(report.complete);
  });

  if (exhaustive) {
    test("in three processes", async () => {
      const report = await scheduled({
        processes: { a: writer("A"), b: writer("B"), c: writer("C") },
        check: whole(["A", "B", "C"]),
        kills: 0,
      }, { memory: MEMORY });
      holds(report);
    });
  }

  test("that want to be the one who creates it: one wins, the others hear EEXIST", async () => {
    const report = await scheduled({
      processes: { a: writer("A", "fail"), b: writer("B", "fail") },
      check(state) {
        const { a, b } = state.processes;
        const winners = [a, b].filter((one) => one?.facts.length === 1).length;
        if (winners > 1) return "both created it";
        const lost = [a, b].find((one) => one?.outcome === "rejected");
        const code = (lost?.error as { code?: string } | undefined)?.code;
        if (lost !== undefined && code !== "EEXIST") return `the loser heard ${lost.error}`;
        return state.kind === "end" && winners === 0 && a?.outcome !== "killed" &&
            b?.outcome !== "killed"
          ? "nobody created it"
          : undefined;
      },
    }, { memory: MEMORY });
    holds(report);
  });

  test("of one process take turns; with power cuts no acknowledged version goes back", async () => {
    const report = await scheduled({
      processes: {
        both: (fs, note) => Promise.all([writer("1")(fs, note), writer("2")(fs, note)]),
      },
      kills: 0,
      powerCuts: ["posix", "ordered"],
      check(state) {
        const content = contentOf(state);
        const { both } = state.processes;
        const facts = both?.facts ?? [];
        if (both?.outcome === "rejected") return `a writer failed: ${both.error}`;
        if (![undefined, "1", "2"].includes(content)) return `I1: ${JSON.stringify(content)}`;
        // Turns are in call order, so the second version is the last.
        if (facts.includes("durable 2") && content !== "2") {
          return `I3: ${content} after 2 was acknowledged`;
        }
        return facts.includes("durable 1") && content === undefined
          ? "I2: an acknowledged file is missing"
          : undefined;
      },
      recover: (adapter) => sweepTemps(adapter, "/"),
    }, { memory: MEMORY });
    holds(report);
    assert.ok(report.complete && report.images > 20);
  });

  test("below one new directory of one process: both are durable when they say so", async () => {
    const below = (name: string): ProcessBody => async (adapter, note) => {
      await atomicWrite(`/new/${name}`, name, { adapter, parents: "create" });
      note(`${name} is durable`);
    };
    const report = await scheduled({
      processes: { both: [below("a"), below("b")] },
      kills: 0,
      powerCuts: ["posix"],
      check({ tree, processes: { both1, both2 } }) {
        const facts = [both1, both2].flatMap((one) => one?.facts ?? []);
        const failed = [both1, both2].find((one) => one?.outcome === "rejected");
        if (failed !== undefined) return `a writer failed: ${failed.error}`;
        const lost = ["a", "b"].find((name) =>
          facts.includes(`${name} is durable`) && tree.get(`/new/${name}`)?.content !== name
        );
        return lost && `I2: ${lost} is missing`;
      },
    }, { memory: MEMORY });
    holds(report);
    assert.ok(report.complete && report.images > 200);
  });

  test("of different files in one directory share its fsync, and what says so is durable", async () => {
    // The third is the first that can join.
    const names = ["a", "b", "c"];
    const counts = { syncs: 0, fewest: Infinity };
    const report = await scheduled({
      processes: {
        all: async (fs, note) => {
          counts.syncs = 0;
          const adapter = syncingEarly(fs, () => counts.syncs++);
          await Promise.all(names.map(async (name) => {
            if (!exhaustive) await fs.async.stat("/");
            await atomicWrite(`/${name}`, name, { adapter });
            note(`durable ${name}`);
          }));
          counts.fewest = Math.min(counts.fewest, counts.syncs);
        },
      },
      kills: 0,
      powerCuts: ["posix"],
      check({ tree, processes: { all } }) {
        if (all?.outcome === "rejected") return `a writer failed: ${all.error}`;
        const lost = names.find((name) =>
          all?.facts.includes(`durable ${name}`) && tree.get(`/${name}`)?.content !== name
        );
        return lost && `I2: ${lost} is missing`;
      },
    }, { memory: MEMORY, maxStates: 10_000 });
    holds(report);
    assert.ok(report.complete && report.images > 20 && report.ends > 0);
    assert.equal(counts.fewest, 2);
  });

  test("of one process that coalesce: with one aborted, no acknowledged version goes back", async () => {
    const ends = new Set<string>();
    const report = await scheduled({
      processes: {
        all: async (adapter, note) => {
          const abort = new AbortController();
          const write = async (version: string, signal?: AbortSignal): Promise<void> => {
            const one = { adapter, coalesce: true, ...(signal === undefined ? {} : { signal }) };
            try {
              const { coalesced } = await atomicWrite("/file", version, one);
              note(`${coalesced ? "coalesced" : "durable"} ${version}`);
            } catch (cause) {
              if (signal === undefined || cause !== signal.reason) throw cause;
              note("aborted");
            }
          };
          const abortAtSomeTime = async (): Promise<void> => {
            await adapter.async.stat("/");
            abort.abort("enough");
          };
          await Promise.all([write("1"), write("2"), write("3", abort.signal), abortAtSomeTime()]);
        },
      },
      kills: 0,
      powerCuts: ["posix", "ordered"],
      check(state) {
        const { all } = state.processes;
        const facts = all?.facts ?? [];
        if (all?.outcome === "rejected") return `a writer failed: ${all.error}`;
        const content = contentOf(state);
        if (![undefined, "1", "2", "3"].includes(content)) return `I1: ${JSON.stringify(content)}`;
        const durable = ["1", "2", "3"].filter((one) => facts.includes(`durable ${one}`));
        const newest = durable.at(-1) ?? "";
        if ((content ?? "") < newest) return `I3: ${content} after ${newest} was acknowledged`;
        // Who was replaced has the word of the one that has its place.
        if (facts.includes("coalesced 2") && content !== "3") {
          return `I2: 2 was told of 3, and there is ${content}`;
        }
        if (facts.includes("aborted") && content === "3") return "I5: what was aborted is there";
        if (state.kind === "end") ends.add([...facts].sort().join(", "));
        return undefined;
      },
      recover: (adapter) => sweepTemps(adapter, "/"),
    }, { memory: MEMORY });
    holds(report);
    assert.ok(report.complete && report.images > 50);
    assert.deepEqual([...ends].sort(), [
      "aborted, durable 1, durable 2",
      "coalesced 2, durable 1, durable 3",
    ]);
  });

  test("are never harmed by sweeps that run at the same time, and what a killed one left is swept", async () => {
    const report = await scheduled({
      processes: {
        a: writer("A"),
        one: (fs) => sweepDead(fs, "/"),
        two: (fs) => sweepDead(fs, "/"),
      },
      check(state) {
        const broken = whole(["A"])(state);
        if (broken !== undefined) return broken;
        return state.kind === "end" && state.processes["a"]?.outcome === "resolved" &&
            contentOf(state) !== "A"
          ? "I6: the sweep took a live file"
          : undefined;
      },
      kills: exhaustive ? 1 : 0,
      recover: (adapter) => sweepDead(adapter, "/"),
    }, { memory: MEMORY });
    holds(report);
    assert.ok(report.complete && report.states > 500);
  });
});

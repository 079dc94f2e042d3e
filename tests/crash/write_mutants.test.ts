// The check must have teeth: small programs that replace a file, each with one well-known mistake, and the invariant
// that catches it. The same program without a mistake passes.

import { describe, test } from "node:test";
import type { FsAdapter, SyncFsOps } from "@crashsafe/fs";
import type { Crash, CrashScenario, MemoryFs } from "@crashsafe/fs/testing";
import { breaks, explored, holds } from "../support/explored.ts";

const OLD = "the old content";
const NEW = "the new content, over more than one page";
const MTIME = 1_700_000_000_000_000_000n;
const MODE = 0o640;
const TARGET = "/dir/file";
const TEMP = "/dir/.file.tmp";
const MEMORY = { pageBytes: 32 };

type Mistake =
  | "no fsync"
  | "no directory fsync"
  | "utimes after fsync"
  | "chmod after fsync"
  | "in place"
  | "fsync retried"
  | "single write"
  | "temporary file elsewhere"
  | "left open";

/** Replaces TARGET, rightly or with a mistake. */
function replace({ sync: ops, classify }: FsAdapter, mistake?: Mistake): void {
  const temp = mistake === "temporary file elsewhere" ? "/tmp/file.tmp" : TEMP;
  const file = mistake === "in place"
    ? ops.open(TARGET, { access: "write" })
    : ops.open(temp, { access: "write", create: "exclusive", mode: 0o600 });
  const late: (() => void)[] = [];
  const before = (fault: Mistake, act: () => void): void => {
    if (mistake === fault) late.push(act);
    else act();
  };
  try {
    let rest = new TextEncoder().encode(NEW);
    do {
      const written = ops.write(file, rest);
      if (written === 0) throw new Error("no progress");
      rest = rest.subarray(written);
    } while (rest.byteLength > 0 && mistake !== "single write");
    before("chmod after fsync", () => ops.fchmod(file, MODE));
    before("utimes after fsync", () => ops.futimes(file, MTIME));
    try {
      if (mistake !== "no fsync") ops.fsync(file);
    } catch (error) {
      if (mistake !== "fsync retried" || classify(error) !== "EIO") throw error;
      ops.fsync(file);
    }
    for (const act of late) act();
    if (mistake !== "in place") ops.rename(temp, TARGET);
  } catch (error) {
    try {
      ops.close(file);
    } catch {
      // It is closed all the same.
    }
    try {
      if (mistake !== "in place") ops.unlink(temp);
    } catch {
      // The caller hears of the first failure; the sweep finds the file.
    }
    throw error;
  }
  if (mistake !== "left open") ops.close(file);
  if (mistake !== "no directory fsync") syncDirectory(ops, "/dir");
}

function syncDirectory(ops: SyncFsOps, path: string): void {
  const dir = ops.openDir(path);
  try {
    ops.fsyncDir(dir);
  } finally {
    ops.close(dir);
  }
}

function disk(fs: MemoryFs): void {
  fs.sync.mkdir("/dir", 0o755);
  fs.sync.mkdir("/tmp", 0o755);
  const file = fs.sync.open(TARGET, { access: "write", create: "exclusive" });
  fs.sync.write(file, new TextEncoder().encode(OLD));
  fs.sync.close(file);
}

/** The recovery of the target's directory. */
function recover({ sync: ops }: FsAdapter): void {
  if (ops.lstat(TEMP) !== undefined) ops.unlink(TEMP);
}

function check({ tree, outcome, kind, recovered }: Crash): string | undefined {
  const file = tree.get(TARGET);
  if (file === undefined) return "I1: the file is missing";
  if (file.content === OLD) {
    if (outcome === "resolved") return "I2: an acknowledged version rolled back";
  } else if (file.content !== NEW) return `I1: ${JSON.stringify(file.content)}`;
  else if (file.mode !== MODE || file.mtimeNs !== MTIME) return "I4: mode or time is not as asked";
  const left = [...tree.keys()].find((path) => !path.endsWith("/") && path !== TARGET);
  if (left === undefined) return undefined;
  if (recovered) return `I5: the recovery did not find ${left}`;
  return kind === "end" && outcome === "resolved" ? `I5: ${left} is left` : undefined;
}

function scenario(mistake?: Mistake): CrashScenario {
  return { setup: disk, run: (fs) => replace(fs, mistake), recover, check };
}

test("the program without a mistake passes", async () => {
  holds(await explored(scenario(), { memory: MEMORY }));
});

describe("caught is", () => {
  const caught: readonly (readonly [Mistake, ...string[]])[] = [
    ["no fsync", "I1"],
    ["no directory fsync", "I2"],
    ["utimes after fsync", "I4"],
    ["chmod after fsync", "I4"],
    ["in place", "I1"],
    ["fsync retried", "I1", "I7"],
    ["single write", "I1"],
    ["temporary file elsewhere", "I5"],
    ["left open", "I5"],
  ];
  for (const [mistake, ...invariants] of caught) {
    test(`${mistake}, by ${invariants.join(" and ")}`, async () => {
      const report = await explored(scenario(mistake), { memory: MEMORY });
      for (const invariant of invariants) breaks(report, invariant);
    });
  }
});

describe("of new directories, caught is", () => {
  /** Makes /dir/a/b and a file in it. */
  const below = (fs: FsAdapter, synced: readonly string[]): void => {
    const { sync: ops } = fs;
    ops.mkdir("/dir/a", 0o755);
    ops.mkdir("/dir/a/b", 0o755);
    const file = ops.open("/dir/a/b/file", { access: "write", create: "exclusive" });
    ops.write(file, new TextEncoder().encode(NEW));
    ops.fsync(file);
    ops.close(file);
    for (const dir of synced) syncDirectory(ops, dir);
  };
  const made = (synced: readonly string[]): CrashScenario => ({
    setup: disk,
    run: (fs) => below(fs, synced),
    check: ({ tree, outcome }) =>
      outcome === "resolved" && tree.get("/dir/a/b/file")?.content !== NEW
        ? "I2: an acknowledged file is missing"
        : undefined,
    faults: false,
  });

  test("nothing, when all that contain them are synced", async () => {
    holds(await explored(made(["/dir/a/b", "/dir/a", "/dir"]), { memory: MEMORY }));
  });

  test("syncing the new ones alone, not the one that contains the topmost, by I2", async () => {
    breaks(await explored(made(["/dir/a/b", "/dir/a"]), { memory: MEMORY }), "I2");
  });

  test("a second writer below a directory whose mkdir is not durable yet, by I2", async () => {
    const second: CrashScenario = {
      ...made([]),
      run(fs, note) {
        below(fs, []);
        const file = fs.sync.open("/dir/a/b/two", { access: "write", create: "exclusive" });
        fs.sync.fsync(file);
        fs.sync.close(file);
        syncDirectory(fs.sync, "/dir/a/b");
        note("two is durable");
      },
      check: ({ tree, facts }) =>
        facts.length > 0 && !tree.has("/dir/a/b/two") ? "I2: two is missing" : undefined,
    };
    breaks(await explored(second, { memory: MEMORY }), "I2");
  });
});

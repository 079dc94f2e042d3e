import { describe, test } from "node:test";
import assert from "node:assert/strict";
import type { FsAdapter } from "@crashsafe/fs";
import {
  type CrashScenario,
  explore,
  type ProcessBody,
  schedules,
  type ScheduleScenario,
} from "@crashsafe/fs/testing";

/** Publishes without an fsync. */
const careless: CrashScenario = {
  setup(fs) {
    const file = fs.sync.open("/file", { access: "write", create: "exclusive" });
    fs.sync.write(file, new TextEncoder().encode("old"));
    fs.sync.close(file);
  },
  async run(fs) {
    const file = await fs.async.open("/temp", { access: "write", create: "exclusive" });
    await fs.async.write(file, new TextEncoder().encode("new"));
    await fs.async.close(file);
    await fs.async.rename("/temp", "/file");
  },
  recover(fs) {
    if (fs.sync.lstat("/temp") !== undefined) fs.sync.unlink("/temp");
  },
  check({ tree }) {
    const content = tree.get("/file")?.content;
    return content === "old" || content === "new" ? undefined : `I1: ${JSON.stringify(content)}`;
  },
  faults: false,
};

describe("explore()", () => {
  test("tells a violation as a numbered story, and brings just that one back", async () => {
    const { violations, operations, kills, powerCuts, images } = await explore(careless);
    assert.equal(operations, 4);
    assert.ok(kills > 4 && powerCuts > 16 && images > 10);
    const [violation] = violations;
    assert.match(
      violation?.story ?? "",
      /^ {2}1\. open \/temp: ok\n {2}2\. write \/temp: ok\n.*rename \/temp -> \/file: ok\nthe power goes \(posix\): .*\n=> I1: ""\nreplay: explore\(scenario, \{ replay: "4 posix \d+" \}\)$/s,
    );
    const again = await explore(careless, { replay: violation?.replay ?? "" });
    assert.deepEqual(again.violations, [violation]);
    assert.ok(again.images < images);
  });

  test("cuts the power inside the recovery, too", async () => {
    const { violations } = await explore({
      ...careless,
      run(fs) {
        const file = fs.sync.open("/temp", { access: "write", create: "exclusive" });
        fs.sync.close(file);
      },
      // Puts the temporary file in place in the middle of its work.
      recover(fs) {
        if (fs.sync.lstat("/temp") === undefined) return;
        if (fs.sync.lstat("/file") !== undefined) fs.sync.unlink("/file");
        fs.sync.rename("/temp", "/file");
        const file = fs.sync.open("/file", { access: "write" });
        fs.sync.write(file, new TextEncoder().encode("new"));
        fs.sync.close(file);
      },
    });
    const missing = violations.find(({ broken }) => broken === "I1: undefined");
    assert.match(
      missing?.story ?? "",
      /recovery begins\n {2}1\. lstat \/temp\n {2}2\. lstat \/file\n {2}3\. unlink \/file\n/,
    );
    assert.match(missing?.replay ?? "", / > /);
  });

  test("finds a recovery that is not idempotent", async () => {
    let runs = 0;
    const { violations } = await explore({
      ...careless,
      check: () => undefined,
      recover(fs) {
        fs.sync.close(fs.sync.open(`/seen-${runs++}`, { access: "write", create: "exclusive" }));
      },
    }, { depth: 1 });
    assert.match(violations[0]?.broken ?? "", /^I6: the recovery fails: a second one changes/);
  });

  test("fails every operation once and for good, and finds open handles and a retried fsync", async () => {
    const { violations, faults } = await explore({
      run({ sync: ops }) {
        const file = ops.open("/file", { access: "write", create: "exclusive" });
        ops.write(file, new Uint8Array(3));
        try {
          ops.fsync(file);
        } catch {
          ops.fsync(file);
        }
        ops.close(file);
      },
      check: () => undefined,
    });
    assert.ok(faults > 20);
    assert.ok(
      violations.some(({ broken }) => broken.startsWith("I5: 1 descriptors are left open")),
    );
    assert.ok(violations.some(({ broken }) => broken.startsWith("I7: ")));
    const [first] = violations;
    const again = await explore({
      run: () => {
        throw new Error("not this one");
      },
      check: () => undefined,
    }).catch((error: unknown) => error);
    assert.match(String(again), /not this one/, "a run that fails by itself is no scenario");
    assert.ok(first?.story.includes('replay: explore(scenario, { replay: "['));
  });

  test("counts what its bound leaves out", async () => {
    const { truncated } = await explore(careless, { maxImages: 2 });
    assert.ok(truncated > 0);
  });
});

/** Reads a counter, adds one, writes it back. */
const increment: ProcessBody = async ({ async: ops }, note) => {
  const file = await ops.open("/counter", { access: "read-write" });
  const byte = new Uint8Array(1);
  await ops.read(file, byte, 0);
  byte[0] = (byte[0] ?? 0) + 1;
  await ops.write(file, byte, 0);
  await ops.close(file);
  note("done");
};
const counting: ScheduleScenario = {
  setup(fs) {
    const file = fs.sync.open("/counter", { access: "write", create: "exclusive" });
    fs.sync.write(file, new Uint8Array(1));
    fs.sync.close(file);
  },
  processes: { a: increment, b: increment },
  check({ kind, tree }) {
    const count = tree.get("/counter")?.content.charCodeAt(0);
    return kind === "end" && count !== 2 ? `counted ${count}` : undefined;
  },
  kills: 0,
};

describe("schedules()", () => {
  test("finds the lost update, tells it and brings it back", async () => {
    const { violations, complete, states, ends } = await schedules(counting);
    assert.ok(complete && states > 20 && ends >= 2);
    const [violation] = violations;
    assert.equal(violation?.broken, "counted 1");
    assert.match(
      violation?.story ?? "",
      / 1\. [ab]: starts\n[^]*=> counted 1\nreplay: schedules\(/,
    );
    const again = await schedules(counting, { replay: violation?.replay ?? "" });
    assert.deepEqual(again.violations, [violation]);
    assert.equal(again.schedules, 1);
  });

  test("comes between a step and the synchronous operation after it", async () => {
    const claim: ProcessBody = async (fs, note) => {
      if (await fs.async.stat("/claim") !== undefined) return;
      fs.sync.close(fs.sync.open("/claim", { access: "write", create: "if-missing" }));
      note("mine");
    };
    const { violations } = await schedules({
      processes: { a: claim, b: claim },
      check: ({ processes: { a, b } }) => a?.facts.length && b?.facts.length ? "both" : undefined,
    });
    assert.equal(violations[0]?.broken, "both");
  });

  test("kills, and frees the locks of the killed", async () => {
    const holder: ProcessBody = async ({ async: ops }, note) => {
      const file = await ops.open("/lock", { access: "read-write", create: "if-missing" });
      while (!await ops.flock(file, "exclusive")) await ops.sleep(1);
      note("held");
      await ops.stat("/lock");
      note("released");
      await ops.close(file);
    };
    const report = await schedules({
      processes: { a: holder, b: holder },
      check({ processes: { a, b }, kind }) {
        const holding = [a, b].filter((one) =>
          one?.outcome === "running" && one.facts.at(-1) === "held"
        );
        if (holding.length > 1) return "both hold it";
        const stuck = [a, b].some((one) =>
          one?.outcome !== "killed" && one?.facts.at(-1) !== "released"
        );
        return kind === "end" && stuck ? "somebody never got it" : undefined;
      },
    });
    assert.deepEqual(report.violations, []);
    assert.ok(report.complete && report.ends > 2);
  });

  test("runs operations of one program that are under way together in every order", async () => {
    const orders = new Set<string>();
    const report = await schedules({
      processes: {
        a: async ({ async: ops }: FsAdapter, note) => {
          await Promise.all(["x", "y"].map(async (name) => {
            await ops.mkdir(`/${name}`, 0o700);
            note(name);
          }));
        },
      },
      check({ processes: { a }, kind }) {
        if (kind === "end") orders.add(a?.facts.join("") ?? "");
        return undefined;
      },
      kills: 0,
    });
    assert.deepEqual([...orders].sort(), ["xy", "yx"]);
    assert.ok(report.complete);
  });

  test("notices who waits for something that never comes, and says when a bound cut it short", async () => {
    const { violations } = await schedules({
      processes: { a: () => new Promise(() => {}) },
      check: () => undefined,
    });
    assert.match(violations[0]?.broken ?? "", /^a waits for something/);
    assert.equal((await schedules(counting, { maxStates: 5 })).complete, false);
    const polling: ProcessBody = async ({ async: ops }) => {
      while (await ops.stat("/never") === undefined) await ops.sleep(1);
    };
    const endless = { processes: { a: polling }, check: () => undefined };
    assert.equal((await schedules(endless, { maxSteps: 30 })).complete, false);
  });

  test("follows states with the same future once", async () => {
    const independent: ProcessBody = async ({ async: ops, process }) => {
      for (let index = 0; index < 4; index++) await ops.mkdir(`/${process.pid}-${index}`, 0o700);
    };
    const { states, ends } = await schedules({
      processes: { a: independent, b: independent },
      check: () => undefined,
      kills: 0,
    });
    // Start and four operations of each: a grid of 6 by 6 states, not 252 schedules.
    assert.equal(states, 36);
    assert.equal(ends, 1);
  });
});

import { describe, test } from "node:test";
import assert from "node:assert/strict";
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { execFileSync } from "node:child_process";
import { basename } from "node:path";
import {
  AtomicFile,
  createTempFile,
  createTempFileSync,
  findOrphans,
  findOrphansSync,
  type Orphan,
  sweepOrphans,
  sweepOrphansSync,
  systemAdapter,
} from "@crashsafe/fs";
import { FaultFs, MemoryFs } from "@crashsafe/fs/testing";
import { startProgram } from "../support/programs.ts";
import { withTempDir } from "../support/temp_dir.ts";

const ID = "abcdefghijklmnopqrstuvwx27";
const LOCKED = `.file.${ID}.cs1l`;
const UNLOCKED = `.file.${ID}.cs1u`;
const OXEN = ".data.oxentmp.x7Fa21";
const APERTURE = ".index.json.0123456789abcdef.tmp";
const HOUR_MS = 3_600_000;

/** A file with the age of a day. */
function old(path: string, content = "content"): void {
  writeFileSync(path, content);
  const yesterday = new Date(Date.now() - 24 * HOUR_MS);
  utimesSync(path, yesterday, yesterday);
}

async function all(orphans: AsyncIterable<Orphan>): Promise<readonly Orphan[]> {
  const found: Orphan[] = [];
  for await (const orphan of orphans) found.push(orphan);
  return found;
}

const names = (orphans: readonly Orphan[]): readonly string[] =>
  orphans.map(({ path }) => basename(path)).sort();

describe("a sweep", () => {
  test("removes a file whose lock can be had, of whatever age, and says what it was", () =>
    withTempDir(async (dir) => {
      writeFileSync(`${dir}/${LOCKED}`, "12345");
      const [orphan, ...others] = await all(findOrphans(dir));
      assert.ok(orphan !== undefined && others.length === 0);
      const { path, size, ageMs, writer, class: kind, owner, removable } = orphan;
      assert.deepEqual([path, size, writer, kind, owner, removable], [
        `${dir}/${LOCKED}`,
        5,
        "crashsafe",
        "l",
        "dead",
        true,
      ]);
      assert.ok(ageMs < HOUR_MS);
      const dry = await sweepOrphans(dir, { dryRun: true });
      assert.deepEqual([names(dry.removed), dry.bytes], [[LOCKED], 5]);
      assert.deepEqual(readdirSync(dir), [LOCKED]);
      const report = await sweepOrphans(dir);
      assert.deepEqual([names(report.removed), report.bytes], [[LOCKED], 5]);
      assert.deepEqual([report.kept, report.live, report.failed], [[], [], []]);
      assert.deepEqual(readdirSync(dir), []);
    }));

  test("never touches what a living process has, however old", () =>
    withTempDir(async (dir) => {
      const quick = /native|ffi/.test(systemAdapter().capabilities.flock);
      const open = createTempFileSync(dir);
      const closed = await (await createTempFile(dir)).close();
      const { writable, receipt } = new AtomicFile(`${dir}/published`).writable();
      const writer = writable.getWriter();
      await writer.write(new TextEncoder().encode("half of it"));
      const before = readdirSync(dir);
      assert.equal(before.length, 3);
      const yesterday = new Date(Date.now() - 24 * HOUR_MS);
      for (const name of before) utimesSync(`${dir}/${name}`, yesterday, yesterday);
      // Where locks are slow the names promise none, and without an age nothing is done.
      const report = await sweepOrphans(dir, quick ? { minAgeMs: 1 } : {});
      assert.deepEqual(report.removed, []);
      assert.equal(quick ? report.live.length : report.kept.length, 3);
      assert.deepEqual(names(await all(findOrphans(dir))), quick ? [] : names(report.kept));
      await writer.close();
      await receipt;
      await open.dispose();
      await closed.dispose();
      assert.deepEqual(readdirSync(dir), ["published"]);
    }));

  test("takes an age for what promises no lock, and only on request", () =>
    withTempDir(async (dir) => {
      for (const name of [UNLOCKED, OXEN, APERTURE]) old(`${dir}/${name}`);
      writeFileSync(`${dir}/.young.${ID}.cs1u`, "");
      const none = await sweepOrphans(dir);
      assert.deepEqual(none.removed, []);
      assert.deepEqual(names(none.kept), [UNLOCKED, `.young.${ID}.cs1u`].sort());
      const also = ["oxen", "aperture"] as const;
      const seen = [...findOrphansSync(dir, { also, minAgeMs: HOUR_MS })];
      assert.deepEqual(
        names(seen.filter(({ removable }) => removable)),
        [APERTURE, OXEN, UNLOCKED].sort(),
      );
      assert.deepEqual(seen.map(({ writer }) => writer).sort(), [
        "aperture",
        "crashsafe",
        "crashsafe",
        "oxen",
      ]);
      assert.ok(seen.every(({ owner, class: kind }) => owner === "unknown" && kind === "u"));
      const report = sweepOrphansSync(dir, { also, minAgeMs: HOUR_MS });
      assert.deepEqual(names(report.removed), [APERTURE, OXEN, UNLOCKED].sort());
      assert.deepEqual(readdirSync(dir), [`.young.${ID}.cs1u`]);
    }));

  test("leaves every other name, directory and link", () =>
    withTempDir(async (dir) => {
      const others = [
        "file",
        `file.${ID}.cs1l`,
        `.file.${ID.slice(1)}.cs1l`,
        `.file.${ID.toUpperCase()}.cs1l`,
        `.file.${ID}.cs1x`,
        `.file.${ID}.cs1l.bak`,
        ".x.0123456789abcde.tmp",
      ];
      for (const name of others) old(`${dir}/${name}`);
      mkdirSync(`${dir}/.dir.${ID}.cs1l`);
      old(`${dir}/target`);
      symlinkSync("target", `${dir}/.link.${ID}.cs1l`);
      const before = readdirSync(dir);
      const report = await sweepOrphans(dir, {
        minAgeMs: 0,
        also: ["oxen", "aperture"],
        recursive: true,
      });
      assert.deepEqual([report.removed, report.kept, report.live, report.failed], [[], [], [], []]);
      assert.deepEqual(readdirSync(dir), before);
    }));

  test("goes into directories when it is told to, but through no link", () =>
    withTempDir(async (dir) => {
      mkdirSync(`${dir}/top/a/b`, { recursive: true });
      mkdirSync(`${dir}/elsewhere`);
      for (const at of ["top", "top/a", "top/a/b", "elsewhere"]) {
        writeFileSync(`${dir}/${at}/${LOCKED}`, "");
      }
      symlinkSync("../../elsewhere", `${dir}/top/a/link`);
      assert.equal((await sweepOrphans(`${dir}/top`, { dryRun: true })).removed.length, 1);
      const report = await sweepOrphans(`${dir}/top`, { recursive: true });
      assert.equal(report.removed.length, 3);
      assert.ok(existsSync(`${dir}/elsewhere/${LOCKED}`));
    }));

  test("leaves the target of a write that was killed between link and unlink", () =>
    withTempDir(async (dir) => {
      writeFileSync(`${dir}/${LOCKED}`, "published");
      linkSync(`${dir}/${LOCKED}`, `${dir}/target`);
      await sweepOrphans(dir);
      assert.deepEqual(readdirSync(dir), ["target"]);
    }));

  test("takes files that may only be read, and tells of directories that may not", async () => {
    const disk = new MemoryFs();
    disk.sync.mkdir("/a", 0o755);
    for (const path of [`/${LOCKED}`, `/a/${LOCKED}`]) {
      disk.sync.close(disk.sync.open(path, { access: "write", create: "exclusive" }));
    }
    const rules = [
      { kinds: ["readdir" as const], errno: "EACCES", path: /^\/a$/, times: "always" as const },
      { kinds: ["open" as const], errno: "EACCES", nth: 1 },
    ];
    const adapter = new FaultFs(disk, rules);
    const report = await sweepOrphans("/", { recursive: true, adapter });
    assert.deepEqual(report.removed.map(({ path }) => path), [`/${LOCKED}`]);
    assert.deepEqual(report.failed.map(({ path, error }) => [path, error.code]), [[
      "/a",
      "EACCES",
    ]]);
    assert.equal(adapter.openHandles, 0);
  });

  test("is refused for a directory that is not there, and for options that make no sense", () =>
    withTempDir(async (dir) => {
      await assert.rejects(sweepOrphans(`${dir}/none`), { code: "ENOENT" });
      await assert.rejects(all(findOrphans(`${dir}/none`)), { code: "ENOENT" });
      assert.throws(() => sweepOrphansSync(dir, { minAgeMs: -1 }), TypeError);
      assert.throws(() => sweepOrphansSync(dir, { also: ["git" as "oxen"] }), TypeError);
      await assert.rejects(sweepOrphans(dir, { signal: {} as AbortSignal }), TypeError);
    }));

  test("never removes a class-l file by its age where there are no locks", async () => {
    const disk = new MemoryFs();
    disk.sync.close(disk.sync.open(`/${LOCKED}`, { access: "write", create: "exclusive" }));
    const adapter = Object.create(disk, {
      capabilities: { value: { ...disk.capabilities, flock: "none" } },
      sync: { value: disk.sync },
      async: { value: disk.async },
      process: { value: disk.process },
      classify: { value: disk.classify.bind(disk) },
    });
    const report = await sweepOrphans("/", { adapter, minAgeMs: 0 });
    assert.deepEqual(report.kept.map(({ owner, removable }) => [owner, removable]), [[
      "unknown",
      false,
    ]]);
    assert.deepEqual([...disk.now().keys()], [`/${LOCKED}`]);
  });

  test("tells how far it is, ends by an abort, and closes what it opened at every failure", () =>
    withTempDir(async (dir) => {
      for (const letter of "abcde") writeFileSync(`${dir}/.${letter}.${ID}.cs1l`, "");
      const told: number[] = [];
      await sweepOrphans(dir, { dryRun: true, onProgress: ({ found }) => told.push(found) });
      assert.deepEqual(told, [1, 2, 3, 4, 5]);
      const abort = new AbortController();
      const reason = new Error("enough");
      await assert.rejects(
        sweepOrphans(dir, {
          signal: abort.signal,
          onProgress: ({ removed }) => removed === 2 && abort.abort(reason),
        }),
        (error) => error === reason,
      );
      assert.equal(readdirSync(dir).length, 3);
      const clean = new FaultFs(systemAdapter());
      sweepOrphansSync(dir, { adapter: clean, dryRun: true });
      for (let nth = 2; nth <= clean.log.length; nth++) {
        const adapter = new FaultFs(systemAdapter(), [{ nth, errno: "EIO" }]);
        const report = sweepOrphansSync(dir, { adapter, dryRun: true });
        assert.equal(adapter.openHandles, 0, String(nth));
        assert.ok(report.removed.length + report.failed.length >= 3, String(nth));
      }
    }));

  test("removes what a killed process left, of each state, and not before", () =>
    withTempDir(async (dir) => {
      if (!/native|ffi/.test(systemAdapter().capabilities.flock)) return;
      for (const state of ["writable", "closed", "a publish", "during a persist"]) {
        const { child, outcome } = startProgram("tests/programs/temp_holder", {
          args: [dir, state],
        });
        await new Promise<void>((resolve) => child.stdout?.once("data", () => resolve()));
        assert.equal((await sweepOrphans(dir)).live.length, 1, state);
        child.kill("SIGKILL");
        await outcome;
        assert.equal((await sweepOrphans(dir)).removed.length, 1, state);
        assert.deepEqual(readdirSync(dir), []);
      }
    }));

  test("does not mind a FIFO, a socket or an unreadable file with such a name", () =>
    withTempDir((dir) => {
      writeFileSync(`${dir}/${LOCKED}`, "");
      chmodSync(`${dir}/${LOCKED}`, 0);
      execFileSync("mkfifo", [`${dir}/.fifo.${ID}.cs1l`]);
      const report = sweepOrphansSync(dir, { minAgeMs: 0 });
      assert.equal(report.removed.length + report.failed.length, 1);
      assert.ok(existsSync(`${dir}/.fifo.${ID}.cs1l`));
      unlinkSync(`${dir}/.fifo.${ID}.cs1l`);
    }));
});

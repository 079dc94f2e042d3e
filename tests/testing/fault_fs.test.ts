import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { atomicWriteSync, type FsHandle, systemAdapter } from "@crashsafe/fs";
import { FaultFs, type FaultRule, InjectedFault, parseFaults } from "@crashsafe/fs/testing";
import { withTempDir } from "../support/temp_dir.ts";

const BYTES = new TextEncoder().encode("content");

function faults(...rules: readonly FaultRule[]): FaultFs {
  return new FaultFs(systemAdapter(), rules);
}

function create(fs: FaultFs, path: string): FsHandle {
  return fs.sync.open(path, { access: "read-write", create: "exclusive" });
}

describe("a rule of FaultFs", () => {
  test("hits the Nth operation of its kind once, or all from then on", () =>
    withTempDir((dir) => {
      for (const [times, failed] of [["once", "ab"], ["always", "a"]] as const) {
        const fs = faults({ kinds: ["mkdir"], nth: 2, times, errno: "ENOSPC" });
        fs.sync.mkdir(`${dir}/1${times}`, 0o700);
        let made = "a";
        assert.throws(() => fs.sync.mkdir(`${dir}/2${times}`, 0o700), { code: "ENOSPC" });
        try {
          fs.sync.mkdir(`${dir}/3${times}`, 0o700);
          made += "b";
        } catch (error) {
          assert.ok(error instanceof InjectedFault);
        }
        assert.equal(made, failed);
        assert.ok(!existsSync(`${dir}/2${times}`), "the operation was carried out");
      }
    }));

  test("chooses by a part of the path or an expression, the second path of a rename too", () =>
    withTempDir((dir) => {
      for (const path of ["target", /\/target$/, /target$/g]) {
        writeFileSync(`${dir}/from`, "x");
        const fs = faults({ kinds: ["rename", "lstat"], path, errno: "EXDEV", times: "always" });
        fs.sync.rename(`${dir}/from`, `${dir}/other`);
        for (let round = 0; round < 2; round++) {
          assert.throws(() => fs.sync.rename(`${dir}/other`, `${dir}/target`), { code: "EXDEV" });
          assert.throws(() => fs.sync.lstat(`${dir}/target`), { code: "EXDEV" });
        }
      }
    }));

  test("may carry the operation out and lose its answer", () =>
    withTempDir((dir) => {
      const inside = faults();
      const fs = new FaultFs(inside, [
        { kinds: ["mkdir", "open"], afterwards: true, errno: "EIO", times: "always" },
      ]);
      assert.throws(() => fs.sync.mkdir(`${dir}/a`, 0o700), { code: "EIO" });
      assert.throws(() => create(fs, `${dir}/b`), { code: "EIO" });
      assert.ok(existsSync(`${dir}/a`) && existsSync(`${dir}/b`));
      assert.equal(fs.openHandles, 0, "a handle that nobody got counts as open");
      assert.equal(inside.openHandles, 0, "a handle that nobody got is open");
      assert.match(fs.story(), /mkdir .*\/a: EIO, carried out/);
    }));

  test("answers where the interface has an answer instead of an error", () =>
    withTempDir((dir) => {
      const fs = faults({ kinds: ["lstat", "stat"], errno: "ENOENT", times: "always" });
      assert.equal(fs.sync.lstat(dir), undefined);
      assert.equal(fs.sync.stat(dir), undefined);
    }));

  test("comes together with the others that hit the same operation", () =>
    withTempDir(async (dir) => {
      const fs = faults(
        { delayMs: 0, times: "always" },
        { kinds: ["write"], short: 2 },
        { kinds: ["write"], nth: 2, errno: "EIO" },
      );
      const file = await fs.async.open(`${dir}/a`, { access: "write", create: "exclusive" });
      assert.equal(await fs.async.write(file, BYTES), 2);
      const second = fs.async.write(file, BYTES);
      await assert.rejects(Promise.resolve(second), { code: "EIO" });
      await fs.async.close(file);
      assert.equal(readFileSync(`${dir}/a`, "utf8"), "co");
    }));

  test("with delayMs 0 makes every asynchronous operation answer a promise", () =>
    withTempDir(async (dir) => {
      const fs = faults({ delayMs: 0, times: "always" });
      const answers = [
        fs.async.lstat(dir),
        fs.async.mkdir(`${dir}/a`, 0o700),
        fs.async.rmdir(`${dir}/none`),
      ];
      for (const answer of answers) assert.ok(answer instanceof Promise);
      const [found, made, failed] = await Promise.allSettled(answers);
      assert.deepEqual(
        [found?.status, made?.status, failed?.status],
        ["fulfilled", "fulfilled", "rejected"],
      );
      assert.ok(!((fs.sync.lstat(dir) as unknown) instanceof Promise));
    }));

  test("that could never do anything is refused", () => {
    const slips: readonly (readonly [unknown, RegExp])[] = [
      [{ kinds: ["fsync"] }, /None of errno, short and delayMs/],
      [{ kinds: ["sync"], errno: "EIO" }, /Unknown kind "sync"/],
      [{ kind: "fsync", errno: "EIO" }, /Unknown field "kind"/],
      [{ nth: 0, errno: "EIO" }, /nth must be 1 or more/],
      [{ times: "twice", errno: "EIO" }, /times must be/],
      [{ short: -1 }, /short must be/],
      [{ delayMs: NaN }, /delayMs must be/],
    ];
    for (const [rule, message] of slips) {
      assert.throws(() => faults(rule as FaultRule), { name: "TypeError", message });
    }
  });
});

describe("the story of FaultFs", () => {
  test("numbers what happened and ends in a line that brings the same faults back", () =>
    withTempDir((dir) => {
      const rules: readonly FaultRule[] = [
        { kinds: ["write"], path: /\.cs1[LU]$/i, nth: 2, errno: "EDQUOT" },
        { kinds: ["write"], short: 1 },
      ];
      let replay = "";
      const outcomes = [rules, undefined].map((own) => {
        const fs = faults(...own ?? parseFaults(replay));
        assert.throws(() => atomicWriteSync(`${dir}/a`, "xy", { adapter: fs }), { code: "EDQUOT" });
        replay = fs.story().split("\n").at(-1) ?? "";
        return fs.log.map(({ kind, outcome }) => `${kind}: ${outcome}`);
      });
      assert.deepEqual(outcomes[0], outcomes[1]);
      const writes = outcomes[0]?.filter((line) => line.startsWith("write"));
      assert.deepEqual(writes, ["write: short 1", "write: EDQUOT"]);
      assert.deepEqual(parseFaults(replay), rules);
    }));

  test("is refused where it is none", () => {
    for (const line of ["replay: {}", "replay: [1]", "write ENOSPC"]) {
      assert.throws(() => parseFaults(line), { name: "SyntaxError" });
    }
    assert.throws(() => parseFaults('[{"kinds":["sync"],"errno":"EIO"}]'), TypeError);
  });

  test("has an operation in flight until it has settled", () =>
    withTempDir(async (dir) => {
      const fs = faults({ kinds: ["mkdir"], delayMs: 0 });
      const making = fs.async.mkdir(`${dir}/a`, 0o700);
      assert.equal(fs.log[0]?.outcome, "in flight");
      await making;
      assert.equal(fs.log[0]?.outcome, "ok");
    }));
});

describe("FaultFs notices", () => {
  test("a handle that is never closed, and a failed close closes", () =>
    withTempDir((dir) => {
      const fs = faults({ kinds: ["close"], errno: "EIO" });
      const file = create(fs, `${dir}/a`);
      assert.equal(fs.openHandles, 1);
      assert.throws(() => fs.sync.close(file), { code: "EIO" });
      assert.equal(fs.openHandles, 0);
      assert.throws(() => systemAdapter().sync.fstat(file), "the file was left open");
    }));

  test("a close while an operation is in flight, and the use of a closed handle", () =>
    withTempDir(async (dir) => {
      const fs = faults({ kinds: ["write"], delayMs: 0 });
      const file = create(fs, `${dir}/a`);
      const writing = Promise.resolve(fs.async.write(file, BYTES));
      fs.sync.close(file);
      await assert.rejects(writing);
      assert.throws(() => fs.sync.fstat(file));
      assert.deepEqual(fs.hazards, [
        `close while a write was in flight: ${dir}/a`,
        `fstat on a closed handle: ${dir}/a`,
      ]);
      assert.match(fs.story(), /hazard: close while a write was in flight/);
    }));

  test("bytes that change before their write has settled", () =>
    withTempDir(async (dir) => {
      const fs = faults({ kinds: ["write"], delayMs: 0, times: "always" });
      const file = create(fs, `${dir}/a`);
      const bytes = BYTES.slice();
      const writing = fs.async.write(file, bytes);
      bytes[0] = 0;
      await writing;
      await fs.async.write(file, bytes);
      bytes[0] = 1;
      fs.sync.close(file);
      assert.deepEqual(fs.hazards, [
        `the bytes of a write changed before it had settled: ${dir}/a`,
      ]);
    }));

  test("a file that is synced again or published after its fsync failed", () =>
    withTempDir((dir) => {
      const fs = faults({ kinds: ["fsync"], errno: "EIO" });
      const file = create(fs, `${dir}/a`);
      assert.throws(() => fs.sync.fsync(file));
      assert.deepEqual(fs.hazards, []);
      fs.sync.fsync(file);
      fs.sync.close(file);
      fs.sync.rename(`${dir}/a`, `${dir}/b`);
      assert.deepEqual(fs.hazards, [
        `fsync again after it failed: ${dir}/a`,
        `rename of a file whose fsync failed: ${dir}/a`,
      ]);
    }));
});

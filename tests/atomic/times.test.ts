import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { spawnSync } from "node:child_process";
import { readdirSync, writeFileSync } from "node:fs";
import { AtomicFile, atomicWriteSync, type Mtime, systemAdapter } from "@crashsafe/fs";
import { runProgram } from "../support/programs.ts";
import { skip } from "../support/root.ts";
import { runtime, testWhere } from "../support/runtime.ts";
import { withTempDir } from "../support/temp_dir.ts";

const UNIT_NS: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
};

const TIMES: readonly bigint[] = [
  1_700_000_000_123_456_789n,
  0n,
  1n,
  -1n,
  -500_000_000n,
  -1_500_000_001n,
  -86_400_000_000_000n,
  4_000_000_000_999_999_999n,
  // Most file systems cannot hold this one. Whatever they make of it, the receipt must say it.
  253_402_300_799_000_000_000n,
];

/** The times of a file as stat(1) sees them: exact, whatever this runtime can read. */
function timesOf(path: string): { mtime: bigint; atime: bigint; birth: bigint } | undefined {
  const { stdout, status } = spawnSync("stat", ["-c", "%.9Y %.9X %.9W", path], {
    encoding: "utf8",
    env: { LC_ALL: "C" },
  });
  if (status !== 0) return undefined;
  const [mtime = 0n, atime = 0n, birth = 0n] = stdout.trim().split(" ").map((text) => {
    const [, sign, seconds = "", fraction = "0"] = /^(-?)(\d+)(?:\.(\d+))?$/.exec(text) ?? [];
    const ns = BigInt(seconds) * 1_000_000_000n + BigInt(fraction.padEnd(9, "0"));
    return sign === "-" ? -ns : ns;
  });
  return { mtime, atime, birth };
}

/** Holds a receipt against the truth. */
function assertReached(asked: bigint, told: string, found: bigint): void {
  const [mtimeNs = "", precision = ""] = told.split(" ");
  const distance = (one: bigint, other: bigint): bigint => one > other ? one - other : other - one;
  const unit = UNIT_NS[precision] ?? 0n;
  assert.ok(
    distance(BigInt(mtimeNs), found) < unit,
    `asked for ${asked}, told ${told}, found ${found}`,
  );
  const held = asked < 10_000_000_000_000_000_000n;
  if (held) assert.ok(distance(asked, found) < unit, `asked for ${asked}, found ${found} ${unit}`);
}

describe("a modification time", () => {
  test("is what the receipt says, to the unit it says, as stat(1) sees it", (t) =>
    withTempDir((dir) => {
      for (const asked of TIMES) {
        const receipt = new AtomicFile(`${dir}/a`).withMtime(asked).writeSync("x");
        const found = timesOf(`${dir}/a`);
        if (found === undefined) return skip(t, "no stat(1) with nanoseconds here");
        assertReached(asked, `${receipt.mtimeNs} ${receipt.mtimePrecision}`, found.mtime);
      }
    }));

  test("is so in a process without any right but to its directory", (t) =>
    withTempDir(async (dir) => {
      if (timesOf(dir) === undefined) return skip(t, "no stat(1) with nanoseconds here");
      const { stdout, stderr } = await runProgram("tests/programs/times", {
        args: [dir, ...TIMES.map(String)],
        ...(runtime === "deno"
          ? { permissions: [`--allow-read=${dir}`, `--allow-write=${dir}`] }
          : {}),
      });
      const told = stdout.trim().split("\n");
      assert.equal(told.length, TIMES.length, stderr);
      for (const [index, asked] of TIMES.entries()) {
        const found = timesOf(`${dir}/${index}`);
        if (runtime === "deno" && asked < 0n) {
          // Without FFI Deno cannot set it, and must not pretend.
          assert.deepEqual([told[index], found], ["ENOTSUP", undefined]);
        } else assertReached(asked, told[index] ?? "", found?.mtime ?? 0n);
      }
    }));

  const exact = systemAdapter().capabilities.mtimePrecision === "ns";
  testWhere(
    exact,
    "leaves the access time as it was when the file was made",
    () =>
      withTempDir((dir) => {
        new AtomicFile(`${dir}/a`).withMtime(5n).writeSync("x");
        const found = timesOf(`${dir}/a`);
        // Neither every stat(1) nor every file system tells the time of birth.
        if (found === undefined || found.birth === 0n) return;
        assert.equal(found.mtime, 5n);
        assert.equal(found.atime, found.birth);
      }),
  );

  test("may have a fraction of a millisecond, before 1970 too", (t) =>
    withTempDir((dir) => {
      writeFileSync(`${dir}/a`, "");
      if (timesOf(`${dir}/a`) === undefined) return skip(t, "no stat(1) with nanoseconds here");
      for (const [ms, ns] of [[1.5, 1_500_000n], [-0.25, -250_000n], [-1000, -1_000_000_000n]]) {
        const receipt = atomicWriteSync(`${dir}/a`, "x", { mtime: ms as number });
        const found = timesOf(`${dir}/a`)?.mtime ?? 0n;
        assertReached(ns as bigint, `${receipt.mtimeNs} ${receipt.mtimePrecision}`, found);
      }
    }));

  test("that lies beyond all calendars is a TypeError before anything is touched", () =>
    withTempDir((dir) => {
      const bad: readonly Mtime[] = [
        10n ** 22n,
        -(10n ** 30n),
        1e300,
        -9e15,
        Infinity,
        { epochNanoseconds: 1n << 80n },
      ];
      for (const mtime of bad) {
        assert.throws(() => new AtomicFile(`${dir}/made/a`, { mtime }), TypeError);
        assert.throws(() => new AtomicFile(`${dir}/made/a`).withMtime(mtime), TypeError);
        assert.throws(() => atomicWriteSync(`${dir}/a`, "x", { mtime }), TypeError);
      }
      assert.deepEqual(readdirSync(dir), []);
    }));

  test("and a digest are taken as they are when they are given, whatever becomes of their objects", () =>
    withTempDir((dir) => {
      const date = new Date(1_000_000_000_000);
      const file = new AtomicFile(`${dir}/a`).withMtime(date);
      date.setTime(0);
      assert.equal(file.writeSync("x").mtimeNs, 1_000_000_000_000_000_000n);
      const digest = new Uint8Array(createHash("sha256").update("x").digest());
      const verified = file.withHash(digest, "sha256");
      digest.fill(0);
      assert.equal(verified.withMtime(0).writeSync("x").bytes, 1);
    }));
});

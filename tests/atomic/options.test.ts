import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { AtomicFile, atomicWrite, type AtomicWriteOptions, atomicWriteSync } from "@crashsafe/fs";
import { runProgram } from "../support/programs.ts";
import { withTempDir } from "../support/temp_dir.ts";

describe("bad input is a TypeError before anything is touched", () => {
  const BAD_OPTIONS: readonly unknown[] = [
    null,
    "full",
    { durability: "most" },
    { requireDurability: 1 },
    { mode: "0644" },
    { mode: -1 },
    { mode: 0o10000 },
    { mode: 1.5 },
    { owner: "root" },
    { existing: "keep" },
    { symlink: true },
    { parents: "maybe" },
    { hash: "xyz" },
    { hash: "00" },
    { hash: new Uint8Array(3) },
    { hash: { digest: "00", algorithm: "md5" } },
    { hash: 5 },
    { hash: "sha256-####" },
    { mtime: "yesterday" },
    { mtime: NaN },
    { mtime: new Date(NaN) },
    { mtime: null },
    { mtime: { epochNanoseconds: 1 } },
    { signal: {} },
    { onProgress: 1 },
  ];
  for (const options of BAD_OPTIONS) {
    test(`options ${describeValue(options)}`, () =>
      withTempDir(async (dir) => {
        const bad = options as AtomicWriteOptions;
        assert.throws(() => new AtomicFile(`${dir}/made/a`, bad), TypeError);
        assert.throws(() => atomicWriteSync(`${dir}/a`, "x", bad), TypeError);
        await assert.rejects(atomicWrite(`${dir}/a`, "x", bad), TypeError);
        assert.deepEqual(readdirSync(dir), []);
      }));
  }

  const BAD_PATHS: readonly unknown[] = [
    "",
    "a/",
    "dir/.",
    "dir/..",
    ".",
    "/",
    "a\0b",
    "lone \ud800",
    new URL("https://example.com/a"),
    5,
    null,
    undefined,
    { path: "a" },
  ];
  for (const path of BAD_PATHS) {
    test(`path ${describeValue(path)}`, async () => {
      assert.throws(() => new AtomicFile(path as string), TypeError);
      assert.throws(() => atomicWriteSync(path as string, "x"), TypeError);
      await assert.rejects(atomicWrite(path as string, "x"), TypeError);
    });
  }

  for (const data of [undefined, null, 5, {}, ["x"], "lone \udc00 surrogate"]) {
    test(`data ${describeValue(data)}`, () =>
      withTempDir(async (dir) => {
        assert.throws(() => atomicWriteSync(`${dir}/a`, data as string), TypeError);
        await assert.rejects(new AtomicFile(`${dir}/made/a`).write(data as string), TypeError);
        assert.deepEqual(readdirSync(dir), []);
      }));
  }
});

test("building a file touches nothing, and a builder can be used again", () =>
  withTempDir((dir) => {
    const file = new AtomicFile(`${dir}/made/a`);
    const timed = file.withMtime(1000).withHash("06b05ab6733a618578af5f94892f3950");
    assert.deepEqual(readdirSync(dir), []);
    assert.equal(file.path, `${dir}/made/a`);
    assert.equal(timed.writeSync("abc").mtimeNs, 1_000_000_000n);
    assert.equal(file.writeSync("free of both").mtimeNs, undefined);
  }));

test("the caller's options object is never changed, and may be frozen", () =>
  withTempDir((dir) => {
    const options = Object.freeze({ mode: 0o600, hash: "06b05ab6733a618578af5f94892f3950" });
    atomicWriteSync(`${dir}/a`, "abc", options);
    assert.deepEqual(Object.keys(options), ["mode", "hash"]);
  }));

describe("names", () => {
  const NAMES: readonly string[] = [
    "x".repeat(255),
    "ü".repeat(127),
    "文".repeat(85),
    "🦕".repeat(63),
    "with space",
    "new\nline",
    " leading",
    "-dash",
    ".hidden",
    "%41 percent",
    "back\\slash",
    "...",
    "quo\"te'",
  ];
  for (const name of NAMES) {
    test(`${JSON.stringify(name).slice(0, 40)} works as text and as a URL`, () =>
      withTempDir(async (dir) => {
        await atomicWrite(`${dir}/${name}`, "text");
        assert.equal(readFileSync(`${dir}/${name}`, "utf8"), "text");
        await atomicWrite(pathToFileURL(`${dir}/${name}`), "URL");
        assert.equal(readFileSync(`${dir}/${name}`, "utf8"), "URL");
        assert.deepEqual(readdirSync(dir), [name]);
      }));
  }

  test("a name of 256 bytes is refused with its code", () =>
    withTempDir((dir) => {
      assert.throws(() => atomicWriteSync(`${dir}/${"x".repeat(256)}`, ""), {
        code: "ENAMETOOLONG",
      });
      assert.deepEqual(readdirSync(dir), []);
    }));

  test("a relative path is made absolute when the call is made", () =>
    withTempDir(async (dir) => {
      const { stdout, stderr } = await runProgram("tests/programs/call", {
        args: ["relative", dir],
      });
      assert.equal(stdout.trim(), '["a","b"]', stderr);
    }));

  test("`..` behind a symbolic link is the kernel's, not the text's", () =>
    withTempDir(async (dir) => {
      const { mkdirSync, symlinkSync } = await import("node:fs");
      mkdirSync(`${dir}/real/inner`, { recursive: true });
      symlinkSync("real/inner", `${dir}/link`);
      atomicWriteSync(`${dir}/link/../a`, "x");
      assert.ok(statSync(`${dir}/real/a`).isFile());
    }));
});

describe("data", () => {
  test("text, bytes, buffers and views are written as they are", () =>
    withTempDir(async (dir) => {
      const bytes = Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8]);
      const cases: readonly (readonly [string | ArrayBuffer | ArrayBufferView, number[]])[] = [
        ["ü", [0xc3, 0xbc]],
        ["", []],
        [bytes.subarray(2, 4), [3, 4]],
        [bytes.buffer, [...bytes]],
        [new DataView(bytes.buffer, 1, 2), [2, 3]],
        [new Uint16Array(bytes.buffer, 2, 1), [3, 4]],
      ];
      for (const [data, wanted] of cases) {
        assert.equal((await atomicWrite(`${dir}/a`, data)).bytes, wanted.length);
        assert.deepEqual([...readFileSync(`${dir}/a`)], wanted);
        atomicWriteSync(`${dir}/a`, data);
        assert.deepEqual([...readFileSync(`${dir}/a`)], wanted);
      }
    }));

  test("a buffer that is transferred away before it is written is refused", () =>
    withTempDir(async (dir) => {
      atomicWriteSync(`${dir}/a`, "old");
      const first = atomicWrite(`${dir}/a`, "first");
      const bytes = new Uint8Array(100_000);
      const second = atomicWrite(`${dir}/a`, bytes);
      structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
      await first;
      await assert.rejects(second, TypeError);
      assert.equal(readFileSync(`${dir}/a`, "utf8"), "first");
    }));

  test("large data, above what is written on the thread", () =>
    withTempDir(async (dir) => {
      for (const size of [65_535, 65_537, 3_000_001]) {
        const data = new Uint8Array(size).fill(7);
        assert.equal((await atomicWrite(`${dir}/a`, data)).bytes, size);
        assert.equal(statSync(`${dir}/a`).size, size);
      }
    }));
});

function describeValue(value: unknown): string {
  if (value instanceof URL) return value.href;
  return JSON.stringify(value, (_, one) => typeof one === "number" ? String(one) : one) ??
    String(value);
}

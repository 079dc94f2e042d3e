import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { linkSync, mkdirSync, writeFileSync } from "node:fs";
import {
  AtomicFile,
  atomicWrite,
  atomicWriteAll,
  type AtomicWriteOptions,
  atomicWriteSync,
  type FsAdapter,
  type FsHandle,
  readVerified,
  systemAdapter,
} from "@crashsafe/fs";
import { FaultFs } from "@crashsafe/fs/testing";
import { calls } from "../support/calls.ts";
import { terminals } from "../support/terminals.ts";
import { withTempDir } from "../support/temp_dir.ts";

/** A temporary file is locked in its first moment, where that is quick. */
const MADE = /native|ffi/.test(systemAdapter().capabilities.flock)
  ? "open flock fstat"
  : "open fstat";
const END = "fsync openDir rename close fsyncDir closeDir";

/** What a terminal does before its temporary file is there, and to fill it. */
const FILLS: Readonly<Record<string, readonly [string, string]>> = {
  write: ["", "write"],
  copyFrom: ["open fstat ", `${systemAdapter().capabilities.clone ? "clone " : ""}read read write`],
  concatFrom: ["stat ", "open fstat read read write close"],
  writeWith: ["", "write write"],
  stream: ["", "write"],
  writable: ["", "write"],
};

describe("the trace of a replace, durability full", () => {
  for (const terminal of terminals) {
    test(terminal.name, () =>
      withTempDir(async (dir) => {
        writeFileSync(`${dir}/file`, "old", { mode: 0o644 });
        const adapter = new FaultFs(systemAdapter());
        await terminal.run(`${dir}/file`, "new content", { adapter }, dir);
        const [before, fill] = FILLS[terminal.name.replace(/Sync$/, "")] ?? assert.fail();
        const after = terminal.name.startsWith("copyFrom") ? " close" : "";
        assert.equal(
          calls(adapter),
          `${before}lstat ${MADE} ${fill} fchmod ${END}${after}`,
        );
      }));
  }
});

const TRACES: readonly (readonly [string, AtomicWriteOptions, string])[] = [
  ["durability file", { durability: "file" }, `lstat ${MADE} write fchmod fsync rename close`],
  ["durability none", { durability: "none" }, `lstat ${MADE} write fchmod rename close`],
  [
    "a required durability",
    { requireDurability: true },
    `lstat ${MADE} write fchmod fsync openDir fsyncDir rename close fsyncDir closeDir`,
  ],
];

describe("the trace of a write", () => {
  for (const [name, options, trace] of TRACES) {
    test(name, () =>
      withTempDir(async (dir) => {
        for (const colour of ["sync", "async"] as const) {
          writeFileSync(`${dir}/file`, "old", { mode: 0o640 });
          const adapter = new FaultFs(systemAdapter());
          if (colour === "sync") atomicWriteSync(`${dir}/file`, "new", { ...options, adapter });
          else await atomicWrite(`${dir}/file`, "new", { ...options, adapter });
          assert.equal(calls(adapter), trace, colour);
        }
      }));
  }

  test("a new file needs no chmod", () =>
    withTempDir((dir) => {
      const adapter = new FaultFs(systemAdapter());
      atomicWriteSync(`${dir}/file`, "new", { adapter });
      assert.equal(calls(adapter), `lstat ${MADE} write ${END}`);
    }));

  test("a time is set after the mode and before the fsync", () =>
    withTempDir((dir) => {
      writeFileSync(`${dir}/file`, "old", { mode: 0o640 });
      const adapter = new FaultFs(systemAdapter());
      atomicWriteSync(`${dir}/file`, "new", { adapter, mtime: 1 });
      assert.match(
        calls(adapter),
        new RegExp(`^lstat ${MADE} write fchmod futimes (fstat )?fsync openDir`),
      );
    }));

  test("existing: fail publishes by link and drops the temporary name before the directory is synced", () =>
    withTempDir((dir) => {
      const adapter = new FaultFs(systemAdapter());
      atomicWriteSync(`${dir}/file`, "new", { adapter, existing: "fail" });
      assert.equal(
        calls(adapter),
        `lstat ${MADE} write fsync openDir link unlink close fsyncDir closeDir`,
      );
    }));

  test("new directories: what contains each is synced before the commit", () =>
    withTempDir((dir) => {
      const adapter = new FaultFs(systemAdapter());
      new AtomicFile(`${dir}/a/b/file`, { adapter }).writeSync("new");
      const synced = adapter.log.filter((one) => one.kind === "fsyncDir").map((one) => one.path);
      assert.deepEqual(synced, [`${dir}/a`, dir, `${dir}/a/b`]);
      assert.match(
        calls(adapter),
        new RegExp(`^lstat open mkdir mkdir mkdir ${MADE} write fsync .* rename`),
      );
    }));

  test("a full write below a directory that an undemanding one made syncs what contains it", () =>
    withTempDir((dir) => {
      const adapter = new FaultFs(systemAdapter());
      new AtomicFile(`${dir}/a/one`, { adapter, durability: "none" }).writeSync("1");
      assert.ok(!calls(adapter).includes("fsyncDir"), adapter.story());
      const second = new FaultFs(systemAdapter());
      atomicWriteSync(`${dir}/a/two`, "2", { adapter: second });
      const synced = second.log.filter((one) => one.kind === "fsyncDir").map((one) => one.path);
      assert.deepEqual(synced, [dir, `${dir}/a`]);
      const third = new FaultFs(systemAdapter());
      atomicWriteSync(`${dir}/a/three`, "3", { adapter: third });
      assert.equal(third.log.filter((one) => one.kind === "fsyncDir").length, 1);
    }));

  test("a directory that appears during mkdir counts as not durable", () =>
    withTempDir((dir) => {
      mkdirSync(`${dir}/a`);
      const adapter = new FaultFs(systemAdapter(), [
        { kinds: ["open"], path: ".cs1", errno: "ENOENT" },
      ]);
      new AtomicFile(`${dir}/a/file`, { adapter }).writeSync("new");
      const synced = adapter.log.filter((one) => one.kind === "fsyncDir").map((one) => one.path);
      assert.deepEqual(synced, [dir, `${dir}/a`]);
    }));
});

describe("a replace keeps the old inode until the directory is synced", () => {
  /** As on a block device, wherever the test runs. */
  function pinning(): FsAdapter {
    const inner = systemAdapter();
    const pin = (path: string): FsHandle => inner.sync.open(path, { access: "read" });
    return Object.create(inner, {
      sync: { value: { ...inner.sync, pin } },
      async: { value: { ...inner.async, pin } },
    });
  }

  test("pinned before the commit, let go after the fsync", () =>
    withTempDir(async (dir) => {
      writeFileSync(`${dir}/file`, "old");
      const adapter = new FaultFs(pinning());
      await atomicWrite(`${dir}/file`, "new", { adapter });
      const trace = /fsync openDir pin rename close fsyncDir closeDir unpin$/;
      assert.match(adapter.trace(), trace);
      assert.equal(adapter.openHandles, 0);
      const sync = new FaultFs(pinning());
      atomicWriteSync(`${dir}/file`, "newer", { adapter: sync });
      assert.match(sync.trace(), trace);
      assert.equal(sync.openHandles, 0);
    }));

  test("in a group, too", () =>
    withTempDir(async (dir) => {
      for (const name of ["a", "b"]) writeFileSync(`${dir}/${name}`, "old");
      const adapter = new FaultFs(pinning());
      const entries = ["a", "b"].map((name) => ({ path: `${dir}/${name}`, data: "new" }));
      await atomicWriteAll(entries, { adapter });
      assert.match(
        adapter.trace().replaceAll("sleep ", ""),
        /fsync pin rename close pin rename close fsyncDir unpin unpin closeDir$/,
      );
      assert.equal(adapter.openHandles, 0);
    }));

  test("not when nothing is replaced, or the file has another name", () =>
    withTempDir(async (dir) => {
      const adapter = new FaultFs(pinning());
      await atomicWrite(`${dir}/file`, "new", { adapter });
      linkSync(`${dir}/file`, `${dir}/second`);
      await atomicWrite(`${dir}/file`, "newer", { adapter });
      assert.doesNotMatch(adapter.trace(), /pin/);
    }));

  test("and nothing depends on it", () =>
    withTempDir(async (dir) => {
      for (const kind of ["pin", "unpin"] as const) {
        writeFileSync(`${dir}/file`, "old");
        const adapter = new FaultFs(pinning(), [{ kinds: [kind], errno: "EIO" }]);
        const receipt = await atomicWrite(`${dir}/file`, "new", { adapter });
        assert.equal(receipt.durability, "full");
        assert.equal(adapter.openHandles, 0);
      }
      const failing = new FaultFs(pinning(), [{ kinds: ["rename"], errno: "EIO" }]);
      await assert.rejects(atomicWrite(`${dir}/file`, "newer", { adapter: failing }));
      assert.equal(failing.openHandles, 0);
    }));
});

test("readVerified opens, reads to the end and closes", () =>
  withTempDir(async (dir) => {
    writeFileSync(`${dir}/file`, "");
    const adapter = new FaultFs(systemAdapter());
    await readVerified(`${dir}/file`, "99aa06d3014798d86001c324468d497f", { adapter });
    assert.equal(calls(adapter), "open fstat read close");
    assert.equal(adapter.openHandles, 0);
  }));

import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { mkdirSync, readdirSync, renameSync } from "node:fs";
import { atomicWrite, DurabilityUnknownError, type FsHandle, systemAdapter } from "@crashsafe/fs";
import { FaultFs, type FaultRule } from "@crashsafe/fs/testing";
import { withTempDir } from "../support/temp_dir.ts";

/** Every fsync of a directory takes a while, as on a disk. */
const SLOW: FaultRule = { kinds: ["fsyncDir"], delayMs: 5, times: "always" };

/** The first fsync of a directory does not end before so many files have been renamed. */
function holding(renames: number, rules: readonly FaultRule[] = []): FaultFs {
  const inner = systemAdapter();
  let first = true;
  const fsyncDir = async (handle: FsHandle): Promise<void> => {
    if (first) {
      first = false;
      while (adapter.log.filter(({ kind }) => kind === "rename").length < renames) {
        await new Promise((resolve) => setTimeout(resolve));
      }
    }
    await inner.async.fsyncDir(handle);
  };
  const held = Object.create(inner, { async: { value: { ...inner.async, fsyncDir } } });
  const adapter = new FaultFs(held, rules);
  return adapter;
}

describe("writes that end together", () => {
  test("share the fsync of their directory", () =>
    withTempDir(async (dir) => {
      const adapter = holding(50);
      const names = Array.from({ length: 50 }, (_, index) => `${dir}/${index}`);
      const receipts = await Promise.all(names.map((path) => atomicWrite(path, path, { adapter })));
      assert.ok(receipts.every(({ durability }) => durability === "full"));
      const syncs = adapter.log.filter(({ kind }) => kind === "fsyncDir").length;
      // The one that was held, and one for all who came meanwhile.
      assert.equal(syncs, 2);
      assert.equal(adapter.openHandles, 0);
      assert.equal(readdirSync(dir).length, 50);
    }));

  test("resolve only after an fsync that began after their own rename", () =>
    withTempDir(async (dir) => {
      const adapter = new FaultFs(systemAdapter(), [SLOW]);
      const ended: string[] = [];
      await Promise.all(Array.from({ length: 12 }, async (_, index) => {
        await new Promise((resolve) => setTimeout(resolve, index));
        await atomicWrite(`${dir}/${index}`, "x", { adapter });
        ended.push(`${adapter.log.length} ${index}`);
      }));
      for (const entry of ended) {
        const [at = 0, index = 0] = entry.split(" ").map(Number);
        const before = adapter.log.slice(0, at);
        const renamed = before.findIndex(({ kind, dest }) =>
          kind === "rename" && dest === `${dir}/${index}`
        );
        assert.ok(renamed >= 0);
        const synced = before.slice(renamed).some(({ kind, outcome }) =>
          kind === "fsyncDir" && outcome === "ok"
        );
        assert.ok(synced, `file ${index}`);
      }
    }));

  test("share its failure, too: each says that it may not survive", () =>
    withTempDir(async (dir) => {
      const adapter = holding(20, [{ kinds: ["fsyncDir"], errno: "EIO", nth: 2 }]);
      const outcomes = await Promise.allSettled(
        Array.from({ length: 20 }, (_, index) => atomicWrite(`${dir}/${index}`, "x", { adapter })),
      );
      const failed = outcomes.filter(({ status }) => status === "rejected");
      assert.equal(failed.length, 19);
      for (const outcome of failed) {
        const { reason } = outcome as PromiseRejectedResult;
        assert.ok(reason instanceof DurabilityUnknownError && reason.committed === true);
      }
      assert.equal(readdirSync(dir).length, 20);
      assert.equal(adapter.openHandles, 0);
    }));

  test("do not share it with a directory that had the name before", () =>
    withTempDir(async (dir) => {
      mkdirSync(`${dir}/a`);
      const adapter = new FaultFs(systemAdapter(), [{
        ...SLOW,
        delayMs: 50,
        nth: 1,
        times: "once",
      }]);
      const first = atomicWrite(`${dir}/a/one`, "x", { adapter });
      const waiting = atomicWrite(`${dir}/a/two`, "x", { adapter });
      while (readdirSync(`${dir}/a`).filter((name) => /^(one|two)$/.test(name)).length < 2) {
        await new Promise((resolve) => setTimeout(resolve));
      }
      renameSync(`${dir}/a`, `${dir}/b`);
      mkdirSync(`${dir}/a`);
      await atomicWrite(`${dir}/a/three`, "x", { adapter });
      await Promise.all([first, waiting]);
      // The new directory was synced itself, after its own rename.
      const syncs = adapter.log.filter(({ kind }) => kind === "fsyncDir");
      assert.equal(syncs.length, 3);
    }));

  test("alone, do what they always did", () =>
    withTempDir(async (dir) => {
      const adapter = new FaultFs(systemAdapter());
      for (const name of ["a", "b"]) {
        await atomicWrite(`${dir}/${name}`, "x", { adapter, durability: "full" });
      }
      assert.equal(
        adapter.log.filter(({ kind }) => kind === "fsyncDir").length,
        2,
      );
    }));
});

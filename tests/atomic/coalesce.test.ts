import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import {
  AtomicFile,
  atomicWrite,
  type AtomicWriteOptions,
  atomicWriteSync,
  PublishError,
  type Receipt,
  systemAdapter,
} from "@crashsafe/fs";
import { FaultFs } from "@crashsafe/fs/testing";
import { withTempDir } from "../support/temp_dir.ts";

const renames = (adapter: FaultFs): number =>
  adapter.log.filter(({ kind }) => kind === "rename").length;

function write(path: string, version: number, options: AtomicWriteOptions): Promise<Receipt> {
  return atomicWrite(path, `version ${version}`, { coalesce: true, ...options });
}

describe("writes of one path that coalesce", () => {
  test("are two: the first, and the last for all others", () =>
    withTempDir(async (dir) => {
      const adapter = new FaultFs(systemAdapter());
      const path = `${dir}/file`;
      const receipts = await Promise.all(
        Array.from({ length: 100 }, (_, version) => write(path, version, { adapter })),
      );
      assert.equal(renames(adapter), 2);
      assert.equal(readFileSync(path, "utf8"), "version 99");
      assert.deepEqual(
        receipts.map(({ coalesced }) => coalesced),
        receipts.map((_, index) => index === 0 || index === 99 ? undefined : true),
      );
      assert.ok(receipts.every(({ durability, path: at }) => durability === "full" && at === path));
      assert.equal(receipts[50]?.bytes, "version 99".length);
    }));

  test("do so only with equal options, and only when asked to", () =>
    withTempDir(async (dir) => {
      const path = `${dir}/file`;
      const cases:
        readonly (readonly [expected: number, options: readonly AtomicWriteOptions[]])[] = [
          [4, [{}, {}, {}, {}].map(() => ({ coalesce: false }))],
          [4, [{}, { mode: 0o600 }, { mode: 0o644 }, { mode: 0o600 }]],
          [3, [{}, { durability: "file" }, { durability: "file" }, { durability: "full" }]],
          [3, [{}, { mtime: 1 }, { mtime: 2 }, { mtime: 2n * 1_000_000n }]],
          [3, [{}, {}, { coalesce: false }]],
        ];
      for (const [expected, options] of cases) {
        const adapter = new FaultFs(systemAdapter());
        await Promise.all(options.map((one, version) => write(path, version, { adapter, ...one })));
        assert.equal(
          renames(adapter),
          expected,
          JSON.stringify(
            options,
            (_, one) => String(one) === one ? one : typeof one === "bigint" ? `${one}n` : one,
          ),
        );
        assert.equal(readFileSync(path, "utf8"), `version ${options.length - 1}`);
      }
    }));

  test("are of one adapter: a write to another file system is not this one", () =>
    withTempDir(async (dir) => {
      const path = `${dir}/file`;
      const [one, two] = [new FaultFs(systemAdapter()), new FaultFs(systemAdapter())];
      const receipts = await Promise.all(
        [one, one, two, one].map((adapter, version) => write(path, version, { adapter })),
      );
      assert.deepEqual([renames(one), renames(two)], [3, 1]);
      assert.ok(receipts.every(({ coalesced }) => coalesced === undefined));
    }));

  test("are bytes in memory: a stream keeps its turn", () =>
    withTempDir(async (dir) => {
      const adapter = new FaultFs(systemAdapter());
      const file = new AtomicFile(`${dir}/file`, { adapter, coalesce: true });
      await Promise.all([file.write("1"), file.stream(["2"]), file.stream(["3"]), file.write("4")]);
      assert.equal(renames(adapter), 4);
      assert.equal(readFileSync(`${dir}/file`, "utf8"), "4");
    }));

  test("fail together with the one that took their place", () =>
    withTempDir(async (dir) => {
      const adapter = new FaultFs(systemAdapter(), [{ kinds: ["fsync"], errno: "EIO", nth: 2 }]);
      const outcomes = await Promise.allSettled(
        [0, 1, 2, 3].map((version) => write(`${dir}/file`, version, { adapter })),
      );
      assert.deepEqual(outcomes.map(({ status }) => status), [
        "fulfilled",
        "rejected",
        "rejected",
        "rejected",
      ]);
      for (const outcome of outcomes.slice(1)) {
        const { reason } = outcome as PromiseRejectedResult;
        assert.ok(reason instanceof PublishError && reason.code === "EIO");
      }
      assert.equal(readFileSync(`${dir}/file`, "utf8"), "version 0");
      assert.deepEqual(readdirSync(dir), ["file"]);
    }));

  test("are left alone by one that is aborted, whichever it is", () =>
    withTempDir(async (dir) => {
      const reason = new Error("enough");
      for (const aborted of [[1], [2], [3], [2, 3], [1, 3], [3, 2, 1]]) {
        const adapter = new FaultFs(systemAdapter());
        const aborts = [0, 1, 2, 3].map(() => new AbortController());
        const writes = aborts.map(({ signal }, version) =>
          write(`${dir}/file`, version, { adapter, signal })
        );
        const settled = Promise.allSettled(writes);
        for (const index of aborted) aborts[index]?.abort(reason);
        const outcomes = await settled;
        const living = [1, 2, 3].filter((index) => !aborted.includes(index));
        for (const [index, outcome] of outcomes.entries()) {
          if (aborted.includes(index)) {
            assert.equal((outcome as PromiseRejectedResult).reason, reason, `${aborted}: ${index}`);
          } else assert.equal(outcome.status, "fulfilled", `${aborted}: ${index}`);
        }
        assert.equal(readFileSync(`${dir}/file`, "utf8"), `version ${living.at(-1) ?? 0}`);
        assert.equal(renames(adapter), living.length > 0 ? 2 : 1);
      }
    }));

  test("go on with the one before, when the last is aborted in the middle of its work", () =>
    withTempDir(async (dir) => {
      const abort = new AbortController();
      const adapter = new FaultFs(systemAdapter(), [{
        kinds: ["fsync"],
        delayMs: 5,
        times: "always",
      }]);
      const first = write(`${dir}/file`, 0, { adapter });
      const second = write(`${dir}/file`, 1, { adapter });
      const third = write(`${dir}/file`, 2, { adapter, signal: abort.signal });
      const failing = assert.rejects(third, { name: "AbortError" });
      await first;
      abort.abort();
      await failing;
      await second;
      assert.equal(readFileSync(`${dir}/file`, "utf8"), "version 1");
      assert.deepEqual(readdirSync(dir), ["file"]);
    }));

  test("are overtaken by a synchronous write like all others", () =>
    withTempDir(async (dir) => {
      const path = `${dir}/file`;
      const writes = [0, 1, 2].map((version) => write(path, version, {}));
      atomicWriteSync(path, "sync");
      const receipts = await Promise.all(writes);
      assert.ok(receipts.every(({ superseded, bytes }) => superseded && bytes === 4));
      assert.equal(readFileSync(path, "utf8"), "sync");
    }));
});

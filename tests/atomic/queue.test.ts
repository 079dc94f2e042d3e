import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { cpSync, readdirSync, readFileSync, symlinkSync } from "node:fs";
import { dirname } from "node:path";
import { pathToFileURL } from "node:url";
import {
  AtomicFile,
  atomicWrite,
  atomicWriteSync,
  PublishError,
  systemAdapter,
} from "@crashsafe/fs";
import { FaultFs } from "@crashsafe/fs/testing";
import { projectFile } from "../support/programs.ts";
import { withTempDir } from "../support/temp_dir.ts";

/** A promise with its handles outside. */
function deferred<T = void>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => {};
  const promise = new Promise<T>((one) => {
    resolve = one;
  });
  return { promise, resolve };
}

describe("writers of one path", () => {
  for (const count of [32, 50]) {
    test(`${count} at once leave the whole content of the last, and nothing else`, () =>
      withTempDir(async (dir) => {
        const contents = Array.from(
          { length: count },
          (_, index) => `${index} `.repeat(1 + index * 400),
        );
        const order: number[] = [];
        await Promise.all(contents.map(async (content, index) => {
          await atomicWrite(`${dir}/a`, content);
          order.push(index);
        }));
        assert.equal(readFileSync(`${dir}/a`, "utf8"), contents.at(-1));
        assert.deepEqual(order, [...order].sort((a, b) => a - b));
        assert.deepEqual(readdirSync(dir), ["a"]);
      }));
  }

  test("take turns in call order even when an early one is slow, however the path is spelled", () =>
    withTempDir(async (dir) => {
      const slow = deferred();
      const began = deferred();
      const first = new AtomicFile(`${dir}/a`).writeWith(async (sink) => {
        began.resolve();
        await slow.promise;
        await sink.write("first");
      });
      const second = atomicWrite(`${dir}//./a`, "second");
      await began.promise;
      slow.resolve();
      await Promise.all([first, second]);
      assert.equal(readFileSync(`${dir}/a`, "utf8"), "second");
    }));

  test("do not wait for a failed one", () =>
    withTempDir(async (dir) => {
      const adapter = new FaultFs(systemAdapter(), [{ kinds: ["write"], errno: "EIO" }]);
      const results = await Promise.allSettled([
        atomicWrite(`${dir}/a`, "first", { adapter }),
        atomicWrite(`${dir}/a`, "second"),
      ]);
      assert.deepEqual(results.map((one) => one.status), ["rejected", "fulfilled"]);
      assert.equal(readFileSync(`${dir}/a`, "utf8"), "second");
    }));
});

describe("a synchronous write", () => {
  test("overtakes all asynchronous ones that have not committed, and they resolve with its receipt", () =>
    withTempDir(async (dir) => {
      const waiting = [1, 2, 3].map((one) => atomicWrite(`${dir}/a`, `async ${one}`));
      const began = deferred();
      const go = deferred();
      const other = new AtomicFile(`${dir}/b`).writeWith(async (sink) => {
        began.resolve();
        await go.promise;
        await sink.write("of another path");
      });
      const receipt = atomicWriteSync(`${dir}/a`, "synchronous");
      for (const one of await Promise.all(waiting)) {
        assert.deepEqual(one, { ...receipt, superseded: true });
      }
      await began.promise;
      go.resolve();
      assert.equal((await other).superseded, undefined);
      assert.equal(readFileSync(`${dir}/a`, "utf8"), "synchronous");
      assert.deepEqual(readdirSync(dir).sort(), ["a", "b"]);
    }));

  test("overtakes one in the middle of its source, which then leaves nothing", () =>
    withTempDir(async (dir) => {
      const receipt = await new AtomicFile(`${dir}/a`).writeWith(async (sink) => {
        await sink.write("overtaken");
        atomicWriteSync(`${dir}/a`, "newer");
      });
      assert.equal(receipt.superseded, true);
      assert.equal(readFileSync(`${dir}/a`, "utf8"), "newer");
      assert.deepEqual(readdirSync(dir), ["a"]);
    }));

  test("takes over the strongest durability of those it overtakes", () =>
    withTempDir(async (dir) => {
      const full = atomicWrite(`${dir}/a`, "full");
      const none = atomicWrite(`${dir}/a`, "none", { durability: "none" });
      const adapter = new FaultFs(systemAdapter());
      assert.equal(
        atomicWriteSync(`${dir}/a`, "x", { durability: "none", adapter }).durability,
        "full",
      );
      assert.match(adapter.trace(), /fsync .*rename .*fsyncDir/);
      assert.equal((await full).durability, "full");
      assert.equal((await none).durability, "full");
      assert.equal(atomicWriteSync(`${dir}/a`, "x", { durability: "none" }).durability, "none");
    }));

  test("that fails before its commit overtakes nobody", () =>
    withTempDir(async (dir) => {
      const waiting = atomicWrite(`${dir}/a`, "async");
      const adapter = new FaultFs(systemAdapter(), [{ kinds: ["write"], errno: "ENOSPC" }]);
      assert.throws(() => atomicWriteSync(`${dir}/a`, "sync", { adapter }), PublishError);
      assert.equal((await waiting).superseded, undefined);
      assert.equal(readFileSync(`${dir}/a`, "utf8"), "async");
    }));

  test("that fails after its commit fails those it overtook, and keeps its content", () =>
    withTempDir(async (dir) => {
      const waiting = atomicWrite(`${dir}/a`, "async");
      const adapter = new FaultFs(systemAdapter(), [{ kinds: ["fsyncDir"], errno: "EIO" }]);
      assert.throws(() => atomicWriteSync(`${dir}/a`, "sync", { adapter }), {
        name: "DurabilityUnknownError",
      });
      await assert.rejects(waiting, { name: "DurabilityUnknownError" });
      assert.equal(readFileSync(`${dir}/a`, "utf8"), "sync");
    }));

  test("does not overtake one that is past its commit", () =>
    withTempDir(async (dir) => {
      const syncing = deferred();
      const system = systemAdapter();
      const adapter = new FaultFs(system);
      const own = adapter.async.fsyncDir;
      Object.assign(adapter.async, {
        fsyncDir: (handle: object) => {
          syncing.resolve();
          return own(handle);
        },
      });
      const first = atomicWrite(`${dir}/a`, "async", { adapter });
      await syncing.promise;
      atomicWriteSync(`${dir}/a`, "sync");
      assert.equal((await first).superseded, undefined);
      assert.equal(readFileSync(`${dir}/a`, "utf8"), "sync");
    }));
});

describe("an abort", () => {
  const reason = new Error("changed my mind");

  test("before the call rejects with its reason and touches nothing, in both colours", () =>
    withTempDir(async (dir) => {
      const signal = AbortSignal.abort(reason);
      const file = new AtomicFile(`${dir}/made/a`, { signal });
      await assert.rejects(file.write("x"), (error) => error === reason);
      assert.throws(() => file.writeSync("x"), (error) => error === reason);
      assert.deepEqual(readdirSync(dir), []);
    }));

  test("while waiting for the turn leaves the others alone", () =>
    withTempDir(async (dir) => {
      const go = deferred();
      const abort = new AbortController();
      const first = new AtomicFile(`${dir}/a`).writeWith(async (sink) => {
        await go.promise;
        await sink.write("first");
      });
      const second = atomicWrite(`${dir}/a`, "second", { signal: abort.signal });
      const third = atomicWrite(`${dir}/a`, "third");
      abort.abort(reason);
      await assert.rejects(second, (error) => error === reason);
      go.resolve();
      await Promise.all([first, third]);
      assert.equal(readFileSync(`${dir}/a`, "utf8"), "third");
    }));

  test("ends a callback that never comes back, and leaves nothing", () =>
    withTempDir(async (dir) => {
      const abort = new AbortController();
      const never = new AtomicFile(`${dir}/a`, { signal: abort.signal }).writeWith(async (sink) => {
        await sink.write("half");
        abort.abort(reason);
        await new Promise(() => {});
      });
      await assert.rejects(never, (error) => error === reason);
      assert.deepEqual(readdirSync(dir), []);
    }));

  test("after the commit has no effect", () =>
    withTempDir(async (dir) => {
      const abort = new AbortController();
      const adapter = new FaultFs(systemAdapter());
      const own = adapter.async.fsyncDir;
      Object.assign(adapter.async, {
        fsyncDir: (handle: object) => {
          abort.abort(reason);
          return own(handle);
        },
      });
      const receipt = await atomicWrite(`${dir}/a`, "x", { adapter, signal: abort.signal });
      assert.equal(receipt.durability, "full");
      assert.ok(abort.signal.aborted);
    }));

  test("during a copy of many chunks settles everything before it rejects", () =>
    withTempDir(async (dir) => {
      atomicWriteSync(`${dir}/large`, new Uint8Array(5 << 20));
      const abort = new AbortController();
      const adapter = new FaultFs(systemAdapter());
      const copy = new AtomicFile(`${dir}/a`, {
        adapter,
        signal: abort.signal,
        onProgress: () => abort.abort(reason),
      }).copyFrom(`${dir}/large`);
      await assert.rejects(copy, (error) => error === reason);
      assert.equal(adapter.openHandles, 0);
      assert.deepEqual(readdirSync(dir), ["large"]);
    }));
});

test("two copies of the package share one queue of writers", () =>
  withTempDir(async (dir) => {
    const root = dirname(projectFile("src/public")).replace(/\/src$/, "");
    for (const part of ["src", "adapters"]) {
      cpSync(`${root}/${part}`, `${dir}/copy/${part}`, { recursive: true, dereference: true });
    }
    symlinkSync(`${root}/node_modules`, `${dir}/copy/node_modules`);
    const ending = projectFile("src/public").endsWith(".ts") ? ".ts" : ".js";
    const copy = await import(pathToFileURL(`${dir}/copy/src/public${ending}`).href);
    assert.notEqual(copy.AtomicFile, AtomicFile);
    const waiting = copy.atomicWrite(`${dir}/a`, "by the copy", { adapter: systemAdapter() });
    atomicWriteSync(`${dir}/a`, "by the original");
    assert.equal((await waiting).superseded, true);
    assert.equal(readFileSync(`${dir}/a`, "utf8"), "by the original");
  }));

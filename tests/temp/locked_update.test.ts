import { describe, test } from "node:test";
import assert from "node:assert/strict";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import process from "node:process";
import {
  cleanupTempFiles,
  LockedUpdate,
  LockHeldError,
  LockMarker,
  PersistError,
  systemAdapter,
} from "@crashsafe/fs";
import { FaultFs, MemoryFs } from "@crashsafe/fs/testing";
import { calls } from "../support/calls.ts";
import { withTempDir } from "../support/temp_dir.ts";

describe("a locked update", () => {
  test("locks beside the resource, with an extension and without", () =>
    withTempDir(async (dir) => {
      for (const name of ["plain", "with.ext", ".hidden"]) {
        const update = await LockedUpdate.acquire(`${dir}/${name}`);
        assert.equal(update.path, `${dir}/${name}.lock`);
        assert.equal(update.resource, `${dir}/${name}`);
        assert.ok(existsSync(update.path));
        update.disposeSync();
      }
      assert.deepEqual(readdirSync(dir), []);
    }));

  test("commits over an existing resource, whose mode stays, durably", () =>
    withTempDir(async (dir) => {
      writeFileSync(`${dir}/r`, "old");
      chmodSync(`${dir}/r`, 0o640);
      const adapter = new FaultFs(systemAdapter());
      const update = await LockedUpdate.acquire(`${dir}/r`, { adapter });
      // Nobody reads the new content who may not read the old.
      assert.equal(statSync(update.path).mode & 0o777, 0o600);
      await update.write("new ");
      update.writeSync("content");
      assert.equal(readFileSync(`${dir}/r`, "utf8"), "old");
      const receipt = await update.commit();
      assert.equal(receipt.durability, "full");
      assert.equal(
        calls(adapter),
        "lstat open fstat write write lstat fstat lstat fchmod fsync openDir rename close fsyncDir closeDir",
      );
      assert.equal(readFileSync(`${dir}/r`, "utf8"), "new content");
      assert.equal(statSync(`${dir}/r`).mode & 0o777, 0o640);
      assert.deepEqual(readdirSync(dir), ["r"]);
      assert.throws(() => update.writeSync("x"), { name: "TypeError", message: /was persisted/ });
    }));

  test("makes a new resource with the umask's mode, or one given", () =>
    withTempDir((dir) => {
      LockedUpdate.acquireSync(`${dir}/a`).commitSync();
      LockedUpdate.acquireSync(`${dir}/b`, { mode: 0o600, durability: "none" }).commitSync();
      assert.equal(statSync(`${dir}/a`).mode & 0o777, 0o666 & ~process.umask());
      assert.equal(statSync(`${dir}/b`).mode & 0o777, 0o600);
    }));

  test("that is rolled back leaves the resource as it was", () =>
    withTempDir(async (dir) => {
      writeFileSync(`${dir}/r`, "old");
      const update = LockedUpdate.acquireSync(`${dir}/r`);
      update.writeSync("never");
      await update.dispose();
      await update.dispose();
      assert.equal(readFileSync(`${dir}/r`, "utf8"), "old");
      assert.deepEqual(readdirSync(dir), ["r"]);
    }));

  test("excludes others at once, and says what to do", () =>
    withTempDir(async (dir) => {
      const first = LockedUpdate.acquireSync(`${dir}/r`);
      for (const kind of [LockedUpdate, LockMarker]) {
        const held = await kind.acquire(`${dir}/r`).catch((error) => error);
        assert.ok(held instanceof LockHeldError);
        assert.equal(
          held.message,
          `The lock for resource '${dir}/r' could not be obtained immediately after 1 attempt(s). The lockfile at '${dir}/r.lock' might need manual deletion.`,
        );
        assert.deepEqual([held.code, held.attempts], ["LockHeld", 1]);
      }
      first.disposeSync();
      LockMarker.acquireSync(`${dir}/r`).disposeSync();
    }));

  test("waits at least as long as asked, in growing steps", () => {
    const disk = new MemoryFs();
    LockMarker.acquireSync("/r", { adapter: disk });
    for (const timeoutMs of [50, 3_000]) {
      const other = disk.spawn();
      let pauses = 0;
      const adapter = new FaultFs(other);
      assert.throws(() => LockedUpdate.acquireSync("/r", { adapter, timeoutMs }), (error) => {
        assert.ok(error instanceof LockHeldError);
        assert.ok(
          error.message.includes(
            `after ${(timeoutMs / 1000).toFixed(2)}s after ${error.attempts} attempt(s)`,
          ),
        );
        assert.ok(error.waitedMs >= timeoutMs);
        pauses = adapter.log.filter(({ kind }) => kind === "sleep").length;
        // One try before each pause, and a last one.
        assert.equal(error.attempts, pauses + 1);
        return true;
      });
      // 1 + 4 + 9 + … reaches 50 ms in 5 steps and 3 s in 21, a quarter more or less.
      const [least, most] = timeoutMs === 50 ? [4, 7] : [17, 25];
      assert.ok(pauses >= least && pauses <= most, `${pauses} pauses in ${timeoutMs} ms`);
    }
  });

  test("is had by who waits, after the other's end", () =>
    withTempDir(async (dir) => {
      const first = await LockedUpdate.acquire(`${dir}/r`);
      const waiting = LockedUpdate.acquire(`${dir}/r`, { timeoutMs: 60_000 });
      await first.commit();
      const second = await waiting;
      await second.dispose();
      assert.deepEqual(readdirSync(dir), ["r"]);
    }));

  test("ends its waiting by an abort", () =>
    withTempDir(async (dir) => {
      const first = await LockMarker.acquire(`${dir}/r`);
      const abort = new AbortController();
      const reason = new Error("enough");
      const waiting = LockedUpdate.acquire(`${dir}/r`, { timeoutMs: 60_000, signal: abort.signal });
      abort.abort(reason);
      await assert.rejects(waiting, (error) => error === reason);
      await first.dispose();
      assert.deepEqual(readdirSync(dir), []);
    }));

  test("keeps the lock when the commit fails, and can be committed after all", () =>
    withTempDir(async (dir) => {
      mkdirSync(`${dir}/r`);
      const update = await LockedUpdate.acquire(`${dir}/r`);
      await update.write("content");
      const error = await update.commit().catch((cause) => cause);
      assert.ok(error instanceof PersistError && error.handle === update);
      assert.equal(error.code, "EISDIR");
      assert.ok(existsSync(`${dir}/r.lock`));
      rmdirSync(`${dir}/r`);
      (error.handle as LockedUpdate).commitSync();
      assert.equal(readFileSync(`${dir}/r`, "utf8"), "content");
      assert.deepEqual(readdirSync(dir), ["r"]);
    }));

  test("makes directories below a boundary, and removes them when it is rolled back", () =>
    withTempDir((dir) => {
      const options = { boundaryDirectory: dir };
      assert.throws(() => LockedUpdate.acquireSync(`${dir}/a/b/r`), { code: "ENOENT" });
      LockedUpdate.acquireSync(`${dir}/a/b/r`, options).disposeSync();
      assert.deepEqual(readdirSync(dir), []);
      LockedUpdate.acquireSync(`${dir}/a/b/r`, options).commitSync();
      assert.ok(existsSync(`${dir}/a/b/r`));
      assert.throws(() => LockMarker.acquireSync("/elsewhere/r", options), TypeError);
    }));

  test("of a symbolic link is one of what it leads to", () =>
    withTempDir((dir) => {
      mkdirSync(`${dir}/real`);
      writeFileSync(`${dir}/real/r`, "old");
      symlinkSync("real/r", `${dir}/one`);
      symlinkSync("one", `${dir}/two`);
      const update = LockedUpdate.acquireSync(`${dir}/two`);
      assert.equal(update.path, `${dir}/real/r.lock`);
      update.writeSync("new");
      update.commitSync();
      assert.equal(readFileSync(`${dir}/real/r`, "utf8"), "new");
      symlinkSync("real/missing", `${dir}/dangling`);
      LockedUpdate.acquireSync(`${dir}/dangling`).commitSync();
      assert.ok(existsSync(`${dir}/real/missing`));
      rmSync(`${dir}/real/missing`);
    }));

  test("goes with a cleanup, and finds that out", () =>
    withTempDir(async (dir) => {
      const update = LockedUpdate.acquireSync(`${dir}/r`);
      assert.deepEqual(cleanupTempFiles(), [`${dir}/r.lock`]);
      await assert.rejects(update.commit(), { code: "ENOENT" });
      assert.deepEqual(readdirSync(dir), []);
    }));
});

describe("a marker", () => {
  test("of a closed update can be committed", () =>
    withTempDir(async (dir) => {
      for (const sync of [true, false]) {
        const update = LockedUpdate.acquireSync(`${dir}/r`);
        update.writeSync(`content ${sync}`);
        const marker = sync ? update.closeSync() : await update.close();
        assert.throws(() => update.writeSync("x"), { message: /use the LockMarker/ });
        if (sync) marker.commitSync();
        else await marker.commit();
        assert.equal(readFileSync(`${dir}/r`, "utf8"), `content ${sync}`);
      }
    }));

  test("that never was open refuses to commit, and keeps the lock", () =>
    withTempDir(async (dir) => {
      writeFileSync(`${dir}/r`, "old");
      const marker = await LockMarker.acquire(`${dir}/r`);
      await assert.rejects(marker.commit(), {
        name: "TypeError",
        message: /refusing to commit marker that was never opened$/,
      });
      assert.throws(() => marker.commitSync(), TypeError);
      assert.ok(existsSync(`${dir}/r.lock`));
      await marker[Symbol.asyncDispose]();
      assert.deepEqual(readdirSync(dir), ["r"]);
      assert.equal(readFileSync(`${dir}/r`, "utf8"), "old");
    }));
});

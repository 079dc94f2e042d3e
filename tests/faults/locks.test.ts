import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { CrashSafeError, DirLock, FileLock, systemAdapter } from "@crashsafe/fs";
import { explore, FaultFs, MemoryFs } from "@crashsafe/fs/testing";
import { withTempDir } from "../support/temp_dir.ts";

describe("the trace of a lock", () => {
  const free = "open flock fstat lstat funlock close";

  test("that is free, in both colours", () =>
    withTempDir(async (dir) => {
      const adapter = new FaultFs(systemAdapter());
      await (await FileLock.acquire(`${dir}/lock`, { adapter })).release();
      FileLock.acquireSync(`${dir}/lock`, { adapter }).releaseSync();
      await (await FileLock.tryAcquire(`${dir}/lock`, { adapter }))?.release();
      assert.equal(adapter.trace(), [free, free, free].join(" "));
      assert.equal(adapter.openHandles, 0);
    }));

  test("with a line that says who holds it", () =>
    withTempDir(async (dir) => {
      const adapter = new FaultFs(systemAdapter());
      await (await FileLock.acquire(`${dir}/lock`, { adapter, holder: "me" })).release();
      assert.equal(adapter.trace(), "open flock fstat lstat write funlock close");
    }));

  test("in a directory that is missing", () =>
    withTempDir(async (dir) => {
      const adapter = new FaultFs(systemAdapter());
      await (await DirLock.acquire(`${dir}/new`, { adapter })).release();
      assert.equal(adapter.trace(), `open mkdir ${free}`);
    }));

  test("that is held, tried once", () => {
    const memory = new MemoryFs();
    const lock = FileLock.acquireSync("/lock", { adapter: memory });
    const adapter = new FaultFs(memory.spawn());
    assert.equal(FileLock.tryAcquireSync("/lock", { adapter }), null);
    assert.equal(adapter.trace(), "open flock close");
    lock.releaseSync();
  });

  test("that is handed over is not unlocked", async () => {
    const adapter = new FaultFs(new MemoryFs());
    const first = await FileLock.acquire("/lock", { adapter });
    const second = FileLock.acquire("/lock", { adapter });
    await first.release();
    await (await second).release();
    assert.equal(
      adapter.trace(),
      "open flock fstat lstat open flock close fstat lstat funlock close",
    );
  });
});

describe("every operation of a lock failing in every way", () => {
  for (const colour of ["sync", "async"] as const) {
    test(`leaves no descriptor, no lock and the right error, ${colour}`, async () => {
      const report = await explore({
        setup: (fs) => fs.sync.mkdir("/dir", 0o755),
        async run(adapter, note) {
          const path = "/dir/lock";
          const lock = colour === "sync"
            ? FileLock.acquireSync(path, { adapter, holder: "me" })
            : await DirLock.acquire("/dir", { adapter, lockName: "lock" });
          note("held");
          if (colour === "sync") lock.releaseSync();
          else await lock.release();
        },
        check({ outcome, error, facts }) {
          if (outcome !== "rejected") return undefined;
          if (!(error instanceof CrashSafeError)) return `the wrong error: ${error}`;
          return facts.includes("held") && error.operation !== "funlock"
            ? `the release failed: ${error}`
            : undefined;
        },
        profiles: [],
      });
      assert.equal(report.violations.map(({ story }) => story).join("\n\n"), "");
      assert.ok(report.faults > 15);
    });
  }
});

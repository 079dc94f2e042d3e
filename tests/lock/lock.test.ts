import { describe, test } from "node:test";
import assert from "node:assert/strict";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Worker } from "node:worker_threads";
import {
  CrashSafeError,
  DirLock,
  FileLock,
  type FsAdapter,
  LockHeldError,
  systemAdapter,
  UnsupportedError,
  withLock,
  withLockSync,
} from "@crashsafe/fs";
import { FaultFs, MemoryFs } from "@crashsafe/fs/testing";
import { processState } from "../../src/base/process_state.ts";
import { command, skip } from "../support/root.ts";
import { projectFile, runProgram } from "../support/programs.ts";
import { runtime, testWhere } from "../support/runtime.ts";
import { withTempDir } from "../support/temp_dir.ts";

/** Nobody waits and nobody holds: what each test leaves. */
function assertFree(): void {
  const state = processState(systemAdapter().process);
  assert.equal(state.locks.size, 0);
  assert.equal(state.lockedInodes.size, 0);
}

async function heldError(promise: Promise<unknown>): Promise<LockHeldError> {
  const error: unknown = await promise.then(() => undefined, (cause) => cause);
  assert.ok(error instanceof LockHeldError, String(error));
  return error;
}

describe("a DirLock", () => {
  test("makes the directory, and keeps its lock file", () =>
    withTempDir(async (dir) => {
      const lock = await DirLock.acquire(`${dir}/a/b`);
      assert.equal(lock.path, `${dir}/a/b/.crashsafe.lock`);
      assert.equal(lock.directory, `${dir}/a/b`);
      assert.ok(existsSync(lock.path));
      await lock.release();
      assert.ok(existsSync(lock.path));
      const again = DirLock.acquireSync(`${dir}/a/b`, { lockName: "other" });
      assert.equal(again.path, `${dir}/a/b/other`);
      again.releaseSync();
      assertFree();
    }));

  test("is null for the second, in the same process too, and free after the release", () =>
    withTempDir(async (dir) => {
      const first = await DirLock.tryAcquire(dir);
      assert.ok(first);
      assert.equal(await DirLock.tryAcquire(dir), null);
      assert.equal(DirLock.tryAcquireSync(dir), null);
      assert.equal(DirLock.tryAcquireSync(dir, { shared: true }), null);
      await first.release();
      const second = DirLock.tryAcquireSync(dir);
      assert.ok(second);
      second.releaseSync();
      assertFree();
    }));

  test("takes the name of a file only", () =>
    withTempDir(async (dir) => {
      for (const lockName of ["", ".", "..", "a/b", "/a"]) {
        await assert.rejects(DirLock.acquire(`${dir}/x`, { lockName }), TypeError);
      }
      assert.deepEqual(readdirSync(dir), []);
    }));
});

describe("a FileLock", () => {
  test("keeps the content and the mode of its file, and makes a missing one with the umask", () =>
    withTempDir(async (dir) => {
      writeFileSync(`${dir}/a`, "content", { mode: 0o640 });
      await (await FileLock.acquire(`${dir}/a`)).release();
      assert.equal(readFileSync(`${dir}/a`, "utf8"), "content");
      assert.equal(statSync(`${dir}/a`).mode & 0o777, 0o640);
      FileLock.acquireSync(`${dir}/b`).releaseSync();
      assert.equal(statSync(`${dir}/b`).mode & 0o777, 0o666 & ~process.umask());
      assert.equal(statSync(`${dir}/b`).size, 0);
    }));

  test("is shared with others who share it, and with nobody else", () =>
    withTempDir(async (dir) => {
      const path = `${dir}/lock`;
      const one = FileLock.acquireSync(path, { shared: true });
      const two = await FileLock.acquire(path, { shared: true });
      assert.equal(FileLock.tryAcquireSync(path), null);
      one.releaseSync();
      assert.equal(await FileLock.tryAcquire(path), null);
      two.releaseSync();
      FileLock.acquireSync(path).releaseSync();
      assertFree();
    }));

  test("is released once, by every way to release it", () =>
    withTempDir(async (dir) => {
      const path = `${dir}/lock`;
      const ways: ((lock: FileLock) => unknown)[] = [
        (lock) => lock.release(),
        (lock) => lock.releaseSync(),
        (lock) => lock[Symbol.dispose](),
        (lock) => lock[Symbol.asyncDispose](),
      ];
      for (const way of ways) {
        const lock = FileLock.acquireSync(path);
        assert.equal(lock.released, false);
        assert.equal(lock.isIntact(), true);
        await way(lock);
        assert.equal(lock.released, true);
        assert.equal(lock.isIntact(), false);
        const next = FileLock.acquireSync(path);
        for (const again of ways) await again(lock);
        assert.equal(
          FileLock.tryAcquireSync(path),
          null,
          "a second release must not free the next holder's",
        );
        next.releaseSync();
      }
      assertFree();
    }));

  test("held by this thread is a deadlock for a synchronous call, told at once", () =>
    withTempDir(async (dir) => {
      const path = `${dir}/lock`;
      symlinkSync(dir, `${dir}/alias`);
      for (const shared of [false, true]) {
        const lock = await FileLock.acquire(path, { shared });
        for (const spelling of [path, `${dir}/alias/lock`]) {
          assert.throws(() => FileLock.acquireSync(spelling), {
            name: "LockHeldError",
            code: "WouldDeadlock",
            message:
              `Cannot lock "${spelling}": this very thread holds it and would wait for itself`,
          });
        }
        lock.releaseSync();
      }
      assertFree();
    }));

  test("that is held tells how long it waited, how often it tried, and what the file says", () =>
    withTempDir(async (dir) => {
      const path = `${dir}/lock`;
      const lock = await FileLock.acquire(path, { holder: "\u001b[31mme\u202e, since noon" });
      const error = await heldError(FileLock.acquire(path, { timeoutMs: 20 }));
      assert.ok(error.waitedMs >= 20 && error.attempts >= 1);
      assert.equal(error.code, "LockHeld");
      assert.equal(error.holder, "[31mme, since noon");
      assert.match(
        error.message,
        /: somebody else holds it \(its file says: \[31mme, since noon\), waited \d+ ms, tried \d+ times?$/,
      );
      const once = await heldError(FileLock.acquire(path, { timeoutMs: 0 }));
      assert.equal(once.attempts, 1);
      lock.releaseSync();
      // A shorter line after it: the first line counts.
      FileLock.acquireSync(path, { holder: "x" }).releaseSync();
      const other = FileLock.acquireSync(path);
      assert.equal((await heldError(FileLock.acquire(path, { timeoutMs: 0 }))).holder, "x");
      other.releaseSync();
      assertFree();
    }));

  test("goes to waiters of one thread in their order, more than sixteen of them", () =>
    withTempDir(async (dir) => {
      const path = `${dir}/lock`;
      const first = await FileLock.acquire(path);
      const order: number[] = [];
      const waiting = Array.from({ length: 40 }, async (_, index) => {
        const lock = await FileLock.acquire(path);
        order.push(index);
        assert.equal(lock.isIntact(), true);
        await lock.release();
      });
      assert.deepEqual(order, []);
      await first.release();
      await Promise.all(waiting);
      assert.deepEqual(order, Array.from({ length: 40 }, (_, index) => index));
      assertFree();
    }));

  test("goes to shared and exclusive waiters in their order, the shared ones together", () =>
    withTempDir(async (dir) => {
      const path = `${dir}/lock`;
      const first = await FileLock.acquire(path);
      const readers = [1, 2, 3].map(() => FileLock.acquire(path, { shared: true }));
      let written = false;
      const writer = FileLock.acquire(path).then((lock) => {
        written = true;
        return lock;
      });
      await first.release();
      const locks = await Promise.all(readers);
      assert.equal(written, false);
      for (const lock of locks) lock.releaseSync();
      (await writer).releaseSync();
      assertFree();
    }));

  test("aborted in its waiting rejects with the reason itself and leaves nothing behind", () =>
    withTempDir(async (dir) => {
      const path = `${dir}/lock`;
      const lock = await FileLock.acquire(path);
      const reason = { why: "enough" };
      for (const ahead of [0, 1]) {
        const before = Array.from(
          { length: ahead },
          () => FileLock.acquire(path, { timeoutMs: 500 }),
        );
        const abort = new AbortController();
        const waiting = FileLock.acquire(path, { signal: abort.signal });
        const outcome = waiting.catch((error: unknown) => error);
        await new Promise((resolve) => setTimeout(resolve, 1));
        abort.abort(reason);
        assert.equal(await outcome, reason);
        await Promise.allSettled(before);
      }
      await assert.rejects(
        FileLock.acquire(path, { signal: AbortSignal.abort(reason) }),
        (error) => error === reason,
      );
      lock.releaseSync();
      assertFree();
      FileLock.acquireSync(path).releaseSync();
    }));

  test("handed over to a waiter that gives up in this moment goes on to the next", () =>
    withTempDir(async (dir) => {
      const path = `${dir}/lock`;
      const lock = await FileLock.acquire(path);
      const abort = new AbortController();
      const first = FileLock.acquire(path, { signal: abort.signal }).then(
        (one) => one,
        () => undefined,
      );
      const second = FileLock.acquire(path);
      lock.releaseSync();
      abort.abort();
      (await first)?.releaseSync();
      (await second).releaseSync();
      assertFree();
    }));

  test("lets no descriptor leak: a thousand locks, tries and failures", (t) =>
    withTempDir(async (dir) => {
      const fds = "/proc/self/fd";
      if (!existsSync(fds)) return skip(t, "open descriptors cannot be counted here");
      FileLock.acquireSync(`${dir}/warm`).releaseSync();
      const before = readdirSync(fds).length;
      const locks = Array.from(
        { length: 500 },
        (_, index) => FileLock.acquireSync(`${dir}/${index}`),
      );
      for (const [index, lock] of locks.entries()) {
        assert.equal(await FileLock.tryAcquire(`${dir}/${index}`), null);
        await lock.release();
        assert.throws(() => FileLock.acquireSync(`${dir}/none/${index}`), { code: "ENOENT" });
      }
      assert.equal(readdirSync(fds).length, before);
      assertFree();
    }));
});

describe("what cannot be locked is told:", () => {
  const cases: readonly (readonly [string, string, (dir: string) => void])[] = [
    ["a missing directory", "ENOENT", () => {}],
    ["a directory", "EISDIR", (dir) => mkdirSync(`${dir}/x`)],
    ["a symbolic link", "ELOOP", (dir) => {
      writeFileSync(`${dir}/real`, "");
      symlinkSync("real", `${dir}/x`);
    }],
    ["a dangling symbolic link", "ELOOP", (dir) => symlinkSync("nowhere", `${dir}/x`)],
    ["a file below a file", "ENOTDIR", (dir) => writeFileSync(`${dir}/file`, "")],
  ];
  for (const [name, code, prepare] of cases) {
    test(name, () =>
      withTempDir(async (dir) => {
        prepare(dir);
        const path = code === "ENOENT"
          ? `${dir}/none/x`
          : code === "ENOTDIR"
          ? `${dir}/file/x`
          : `${dir}/x`;
        const before = readdirSync(dir).length;
        const wanted = (error: unknown): boolean =>
          error instanceof CrashSafeError && error.code === code && error.message.includes(path);
        await assert.rejects(FileLock.acquire(path), wanted);
        await assert.rejects(FileLock.tryAcquire(path), wanted);
        assert.throws(() => FileLock.acquireSync(path), wanted);
        assert.throws(() => FileLock.tryAcquireSync(path), wanted);
        assert.equal(readdirSync(dir).length, before);
        assertFree();
      }));
  }

  test("a FIFO", (t) =>
    withTempDir((dir) => {
      if (!command("mkfifo", [`${dir}/x`])) return skip(t, "mkfifo is not installed");
      assert.throws(() => FileLock.tryAcquireSync(`${dir}/x`), { code: "NotRegular" });
      assertFree();
    }));

  test("a file system without locks", () =>
    withTempDir(async (dir) => {
      for (const code of ["ENOLCK", "ENOTSUP"]) {
        const adapter = new FaultFs(systemAdapter(), [{
          kinds: ["flock"],
          errno: code,
          times: "always",
        }]);
        const wanted = {
          code,
          message:
            `Cannot lock "${dir}/x": its file system answers ${code} to flock(2), nothing is locked`,
        };
        await assert.rejects(FileLock.tryAcquire(`${dir}/x`, { adapter }), wanted);
        assert.throws(() => DirLock.tryAcquireSync(dir, { adapter, lockName: "x" }), wanted);
        assert.equal(adapter.openHandles, 0);
      }
    }));

  test("a runtime without flock(2), before any effect", async () => {
    const memory = new MemoryFs();
    const adapter: FsAdapter = {
      ...memory,
      name: "node",
      sync: memory.sync,
      async: memory.async,
      process: memory.process,
      capabilities: { ...memory.capabilities, flock: "none" },
      classify: (error) => memory.classify(error),
    };
    const wanted = (error: unknown): boolean =>
      error instanceof UnsupportedError && error.capability === "flock" &&
      /npm install koffi/.test(error.message);
    await assert.rejects(FileLock.acquire("/x", { adapter }), wanted);
    await assert.rejects(DirLock.tryAcquire("/x", { adapter }), wanted);
    assert.equal(memory.now().size, 0);
  });

  test("options that are wrong, before any effect", () =>
    withTempDir(async (dir) => {
      const wrong = [
        { timeoutMs: -1 },
        { timeoutMs: NaN },
        { timeoutMs: "5" as unknown as number },
        { shared: 1 as unknown as boolean },
        { signal: {} as AbortSignal },
        { holder: "two\nlines" },
        { holder: "x".repeat(201) },
      ];
      for (const options of wrong) {
        await assert.rejects(FileLock.acquire(`${dir}/x`, options), TypeError);
        assert.throws(() => FileLock.acquireSync(`${dir}/x`, options), TypeError);
      }
      for (const path of ["", "a\0b", `${dir}/`]) {
        await assert.rejects(FileLock.acquire(path), TypeError);
      }
      assert.deepEqual(readdirSync(dir), []);
    }));
});

describe("a lock file that somebody replaces", () => {
  /** Replaces the file right after it was opened, a number of times. */
  const replacing = (path: string, times: number): FsAdapter => {
    const inner = systemAdapter();
    let left = times;
    const open: FsAdapter["sync"]["open"] = (at, options) => {
      const file = inner.sync.open(at, options);
      if (at === path && left-- > 0) {
        writeFileSync(`${path}.new`, "");
        renameSync(`${path}.new`, path);
      }
      return file;
    };
    return new FaultFs({
      name: inner.name,
      sync: { ...inner.sync, open },
      async: { ...inner.async, open },
      capabilities: inner.capabilities,
      process: inner.process,
      transientRenameErrors: inner.transientRenameErrors,
      classify: (error) => inner.classify(error),
    });
  };

  test("while it is being locked is opened anew", () =>
    withTempDir(async (dir) => {
      const path = `${dir}/lock`;
      for (const times of [1, 3]) {
        const adapter = replacing(path, times) as FaultFs;
        const lock = await FileLock.acquire(path, { adapter });
        assert.equal(lock.isIntact(), true);
        lock.releaseSync();
        assert.equal(adapter.openHandles, 0);
      }
      const adapter = replacing(path, Infinity) as FaultFs;
      assert.throws(() => FileLock.tryAcquireSync(path, { adapter }), { code: "ESTALE" });
      assert.equal(adapter.openHandles, 0);
      assertFree();
    }));

  test("under its holder is noticed by isIntact() and by who waits here for it", () =>
    withTempDir(async (dir) => {
      const path = `${dir}/lock`;
      const lock = await FileLock.acquire(path);
      const waiting = FileLock.acquire(path);
      rmSync(path);
      assert.equal(lock.isIntact(), false);
      // Looked at once a second: the waiter makes and locks the new file although the old one is still held.
      const next = await waiting;
      assert.equal(next.isIntact(), true);
      await next.release();
      await lock.release();
      assertFree();
    }));

  test("under its holder is not handed over", () =>
    withTempDir(async (dir) => {
      const path = `${dir}/lock`;
      const lock = await FileLock.acquire(path);
      const waiting = FileLock.acquire(path);
      rmSync(path);
      await lock.release();
      const next = await waiting;
      assert.equal(next.isIntact(), true);
      next.releaseSync();
      assertFree();
    }));
});

test("two workers exclude each other", () =>
  withTempDir(async (dir) => {
    const path = `${dir}/lock`;
    const file = pathToFileURL(projectFile("tests/programs/lock_worker"));
    const workers = [new Worker(file), new Worker(file)];
    const ask = (worker: Worker | undefined, what: string): Promise<unknown> =>
      new Promise((resolve, reject) => {
        worker?.once("message", resolve);
        worker?.once("error", reject);
        worker?.postMessage([what, path]);
      });
    const [one, two] = workers;
    assert.equal(await ask(one, "try"), "held");
    assert.equal(await ask(two, "try"), "busy");
    assert.equal(FileLock.tryAcquireSync(path), null);
    assert.equal(await ask(one, "release"), "released");
    assert.equal(await ask(two, "try"), "held");
    assert.equal(await ask(two, "release"), "released");
    for (const worker of workers) await worker.terminate();
  }));

test("a file that may only be read is locked as well", (t) =>
  withTempDir(async (dir) => {
    if (process.getuid?.() !== 0) return skip(t, "changing the user needs root");
    chmodSync(dir, 0o755);
    writeFileSync(`${dir}/lock`, "content", { mode: 0o444 });
    const { stdout, stderr } = await runProgram("tests/programs/call", {
      args: ["lock a file of somebody else", dir],
    });
    assert.equal(stdout.trim(), '["held","EACCES"]', stderr);
    assert.equal(readFileSync(`${dir}/lock`, "utf8"), "content");
  }));

describe("withLock and withLockSync", () => {
  test("answer what the function answers, and release when it throws", () =>
    withTempDir(async (dir) => {
      const path = `${dir}/lock`;
      assert.equal(await withLock(path, (lock) => lock.path), path);
      assert.equal(withLockSync(path, () => 1), 1);
      const failure = new Error("of the function");
      await assert.rejects(
        withLock(path, () => Promise.reject(failure)),
        (error) => error === failure,
      );
      assert.throws(() =>
        withLockSync(path, () => {
          throw failure;
        }), (error) => error === failure);
      assertFree();
    }));

  test("let one in at a time", () =>
    withTempDir(async (dir) => {
      let inside = 0;
      let most = 0;
      await Promise.all(Array.from({ length: 50 }, () =>
        withLock(`${dir}/lock`, async () => {
          most = Math.max(most, ++inside);
          await Promise.resolve();
          inside--;
        })));
      assert.equal(most, 1);
    }));
});

/** Collects garbage now, where the runtime can be brought to it. */
function collector(): (() => void) | undefined {
  const { Bun } = globalThis as { Bun?: { gc(force: boolean): void } };
  if (Bun !== undefined) return () => Bun.gc(true);
  if (runtime !== "node") return undefined;
  setFlagsFromString("--expose-gc");
  return runInNewContext("gc") as () => void;
}
const collect = collector();

testWhere(
  collect !== undefined,
  "a lock that is dropped instead of released is reported to who listens",
  async () => {
    await withTempDir(async (dir) => {
      const reports: string[] = [];
      const slot = Symbol.for("@crashsafe/fs/lock-leaks");
      const holder = globalThis as unknown as Record<symbol, unknown>;
      holder[slot] = (path: string) => reports.push(path);
      try {
        FileLock.acquireSync(`${dir}/released`).releaseSync();
        drop(`${dir}/dropped`);
        for (let round = 0; round < 500 && reports.length === 0; round++) {
          collect?.();
          await new Promise((resolve) => setTimeout(resolve, 2));
        }
      } finally {
        delete holder[slot];
      }
      assert.deepEqual(reports, [`${dir}/dropped`]);
    });
    // It is held until the process ends; this realm's table is not to keep it.
    const state = processState(systemAdapter().process);
    state.locks.clear();
    state.lockedInodes.clear();
  },
);

function drop(path: string): void {
  FileLock.acquireSync(path);
}

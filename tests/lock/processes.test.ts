import { describe, test } from "node:test";
import assert from "node:assert/strict";
import {
  existsSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import process from "node:process";
import { FileLock, systemAdapter } from "@crashsafe/fs";
import { type Locker, startForeign, startLocker } from "../support/lockers.ts";
import { runtimesHere } from "../support/programs.ts";
import { command, skip } from "../support/root.ts";
import { runtime } from "../support/runtime.ts";
import { withTempDir } from "../support/temp_dir.ts";

const others = runtimesHere();

/** Something else that holds a lock until it is ended. */
type Holder = Pick<Locker, "end" | "pid">;

const HOLDERS: Readonly<
  Record<string, (path: string, shared: boolean) => Promise<Holder | undefined>>
> = {
  ...Object.fromEntries(others.map((on) => [on, async (path: string, shared: boolean) => {
    const locker = await startLocker(on);
    if (await locker.ask({ do: "try", path, shared }) === "held") return locker;
    await locker.end();
    return undefined;
  }])),
  "flock(1)": (path, shared) =>
    startForeign("flock", ["-n", shared ? "-s" : "-x", path, "-c", "echo held; cat"]),
  "Python": (path, shared) =>
    startForeign("python3", [
      "-c",
      `import fcntl, os, sys
f = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
try: fcntl.flock(f, (fcntl.LOCK_SH if sys.argv[2] == "s" else fcntl.LOCK_EX) | fcntl.LOCK_NB)
except BlockingIOError: sys.exit()
print("held", flush=True)
sys.stdin.read()`,
      path,
      shared ? "s" : "x",
    ]),
};
const TOOLS: Readonly<Record<string, string>> = { "flock(1)": "flock", "Python": "python3" };

describe(`one lock domain: ${runtime} and`, () => {
  for (const [name, hold] of Object.entries(HOLDERS)) {
    test(`${name} exclude each other in both directions, exclusive and shared`, (t) =>
      withTempDir(async (dir) => {
        const tool = TOOLS[name];
        if (tool !== undefined && !command(tool, ["--version"])) {
          return skip(t, `${tool} is not installed`);
        }
        const path = `${dir}/lock`;
        for (const theirs of [false, true]) {
          const holder = await hold(path, theirs);
          assert.ok(holder, "it could not lock a free file");
          for (const ours of [false, true]) {
            const lock = await FileLock.tryAcquire(path, { shared: ours });
            assert.equal(lock !== null, ours && theirs, `theirs ${theirs}, ours ${ours}`);
            lock?.releaseSync();
          }
          await holder.end();
          for (const ours of [false, true]) {
            const lock = FileLock.acquireSync(path, { shared: ours });
            const other = await hold(path, theirs);
            assert.equal(other !== undefined, ours && theirs, `ours ${ours}, theirs ${theirs}`);
            await other?.end();
            lock.releaseSync();
          }
        }
        assert.equal(readFileSync(path, "utf8"), "");
      }));
  }
});

for (const on of others) {
  test(`a holder on ${on} that is killed frees the lock, and its children have not inherited it`, () =>
    withTempDir(async (dir) => {
      const path = `${dir}/lock`;
      const locker = await startLocker(on);
      assert.equal(await locker.ask({ do: "acquire", path }), "held");
      const child = await locker.ask({ do: "child", path: "1000" });
      const waiting = FileLock.acquire(path);
      assert.equal(FileLock.tryAcquireSync(path), null);
      await locker.end("SIGKILL");
      try {
        await (await waiting).release();
        process.kill(Number(child), 0);
      } finally {
        process.kill(Number(child), "SIGKILL");
      }
    }));
}

test("processes of all runtimes count to the last step, each of them to its end", () =>
  withTempDir(async (dir) => {
    const path = `${dir}/counter`;
    writeFileSync(path, "0");
    const lockers = await Promise.all(Array.from({ length: 8 }, (_, index) => {
      return startLocker(others[index % others.length] as typeof runtime);
    }));
    // With flock(1) each step starts two processes.
    const times = systemAdapter().capabilities.flock === "helper" ? 125 : 1250;
    const ends = await Promise.all(lockers.map((one) => one.ask({ do: "count", path, times })));
    assert.deepEqual(ends, lockers.map(() => "counted"));
    await Promise.all(lockers.map((one) => one.end()));
    assert.equal(readFileSync(path, "utf8"), String(8 * times));
  }));

test("readers hold it together, and the writer gets it after the last of them", () =>
  withTempDir(async (dir) => {
    const path = `${dir}/lock`;
    const readers = await Promise.all(others.map((on) => startLocker(on)));
    for (const reader of readers) {
      assert.equal(await reader.ask({ do: "acquire", path, shared: true }), "held");
    }
    let written = false;
    const writer = FileLock.acquire(path).then((lock) => {
      written = true;
      return lock;
    });
    for (const reader of readers) {
      assert.equal(written, false);
      await reader.ask({ do: "release", path });
    }
    const lock = await writer;
    assert.equal(await readers[0]?.ask({ do: "trySync", path, shared: true }), "busy");
    const waiting = readers[0]?.ask({ do: "acquireSync", path, shared: true });
    await lock.release();
    assert.equal(await waiting, "held");
    for (const reader of readers) await reader.end();
  }));

/** Whether a process has the file open; where that cannot be seen, it is taken for granted. */
function hasOpen(pid: number, path: string): boolean {
  const dir = `/proc/${pid}/fd`;
  if (!existsSync(dir)) return true;
  return readdirSync(dir).some((fd) => {
    try {
      return readlinkSync(`${dir}/${fd}`) === realpathSync(path);
    } catch {
      // Closed while we looked.
      return false;
    }
  });
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 1));
}

test("a waiter in another process notices that the lock file was replaced", () =>
  withTempDir(async (dir) => {
    const path = `${dir}/lock`;
    const lock = await FileLock.acquire(path);
    const locker = await startLocker(runtime);
    const waiting = locker.ask({ do: "acquire", path });
    await until(() => hasOpen(locker.pid, path));
    rmSync(path);
    assert.equal(lock.isIntact(), false);
    // It polls the file that lost its name, looks at the path again, and locks the new one.
    assert.equal(await waiting, "held");
    assert.equal(FileLock.tryAcquireSync(path), null);
    await locker.ask({ do: "release", path });
    await lock.release();
    await locker.end();
  }));

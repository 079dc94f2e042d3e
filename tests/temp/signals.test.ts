import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { readdirSync, unlinkSync } from "node:fs";
import process from "node:process";
import { FileLock, systemAdapter } from "@crashsafe/fs";
import { type Outcome, type Running, startProgram } from "../support/programs.ts";
import { runtime } from "../support/runtime.ts";
import { TEMP_NAME } from "../support/sweep.ts";
import { withTempDir } from "../support/temp_dir.ts";

const SIGNALS = ["SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP"] as const;

/** What a temporary file can be in the middle of, and whether a cleanup that lets the process go on leaves it. */
const STATES: readonly (readonly [state: string, inUse: boolean])[] = [
  ["writable", false],
  ["closed", false],
  ["during a write", true],
  ["during a persist", true],
  ["inside withFile", true],
  ["with parents", false],
  ["a publish", true],
];

/** Waits for a line that the program prints. */
async function said({ child, outcome }: Running, word: string, times = 1): Promise<void> {
  let text = "";
  const heard = new Promise<void>((resolve) => {
    child.stdout?.on("data", (chunk) => {
      text += chunk;
      if (text.split(word).length > times) resolve();
    });
  });
  const ended = outcome.then(({ stderr, stdout }) => {
    throw new Error(`ended before it said ${word}: ${stdout} ${stderr}`);
  });
  ended.catch(() => {});
  await Promise.race([heard, ended]);
}

/** Not child.kill(): Deno takes the signal then for what ended the child. */
function send({ child }: Running, signal: NodeJS.Signals): void {
  process.kill(child.pid as number, signal);
}

async function start(
  dir: string,
  ...args: readonly string[]
): Promise<Running> {
  const running = startProgram("tests/programs/temp_holder", { args: [dir, ...args] });
  await said(running, "ready");
  assert.ok(readdirSync(dir).length > 0, "there is a file to be removed");
  return running;
}

function killed({ code, signal, stderr }: Outcome, by: string, what: string): void {
  assert.deepEqual([code, signal], [null, by], `${what}: ${stderr}`);
}

describe("with the default restored, a signal removes the file and ends the process by itself:", () => {
  for (const signal of SIGNALS) {
    test(signal, async () => {
      await Promise.all(STATES.map(([state]) =>
        withTempDir(async (dir) => {
          const running = await start(dir, state, "delete-and-restore-default");
          send(running, signal);
          killed(await running.outcome, signal, state);
          assert.deepEqual(readdirSync(dir), [], state);
        })
      ));
    });
  }
});

describe("in mode delete, a signal removes what nobody uses, and the end of the process the rest:", () => {
  for (const signal of SIGNALS) {
    test(signal, async () => {
      await Promise.all(STATES.map(([state, inUse]) =>
        withTempDir(async (dir) => {
          const running = await start(dir, state, "delete", "listens");
          const heard = said(running, "heard");
          send(running, signal);
          await heard;
          assert.equal(readdirSync(dir).length, inUse ? 1 : 0, state);
          running.child.stdin?.write("exit\n");
          assert.equal((await running.outcome).code, 3, state);
          assert.deepEqual(readdirSync(dir), [], state);
        })
      ));
    });
  }
});

test("somebody else who listens decides about the end; a second signal is heard as well", () =>
  withTempDir(async (dir) => {
    const running = await start(dir, "writable", "delete-and-restore-default", "listens");
    const twice = said(running, "heard", 2);
    const once = said(running, "heard");
    send(running, "SIGTERM");
    await once;
    assert.deepEqual(readdirSync(dir), []);
    send(running, "SIGTERM");
    await twice;
    running.child.stdin?.write("exit\n");
    assert.equal((await running.outcome).code, 3);
  }));

test("handlers do not keep a process alive, and can be installed again after the first file", () =>
  withTempDir(async (dir) => {
    const running = await start(
      dir,
      "the second of two modes",
      "delete-and-restore-default",
    );
    running.child.stdin?.write("end\n");
    assert.equal((await running.outcome).code, 0);
    assert.deepEqual(readdirSync(dir), []);
  }));

test("without handlers a signal ends the process and leaves the file", () =>
  withTempDir(async (dir) => {
    const running = await start(dir, "writable");
    send(running, "SIGTERM");
    killed(await running.outcome, "SIGTERM", "no handlers");
    assert.equal(readdirSync(dir).length, 1);
  }));

const ENDS: readonly (readonly [how: string, code: number])[] = [
  ["end", 0],
  ["exit", 3],
  ["Deno.exit", 3],
  ["throw", 1],
  ["reject", 1],
];

for (const [how, code] of ENDS) {
  test(`files are removed when the process ends by ${how}`, async () => {
    // What is not done yet keeps a process alive, so that it does not come to its end by itself.
    const states = STATES.filter(([, inUse]) => how !== "end" || !inUse);
    await Promise.all(states.map(([state]) =>
      withTempDir(async (dir) => {
        const running = await start(dir, state, "delete-and-restore-default");
        running.child.stdin?.write(`${how}\n`);
        const ended = await running.outcome;
        assert.equal(ended.code, code, `${state}: ${ended.stderr}`);
        assert.deepEqual(readdirSync(dir), [], state);
      })
    ));
  });
}

test("an error that somebody handles ends nothing, and removes nothing", () =>
  withTempDir(async (dir) => {
    const running = await start(dir, "writable", "delete-and-restore-default");
    running.child.stdin?.write("throw, handled\n");
    await said(running, "handled");
    assert.equal(readdirSync(dir).length, 1);
    running.child.stdin?.write("exit\n");
    assert.equal((await running.outcome).code, 3);
    assert.deepEqual(readdirSync(dir), []);
  }));

test("SIGKILL leaves files that are known for dead by name and lock", () =>
  withTempDir(async (dir) => {
    for (const state of ["writable", "closed", "a publish"]) {
      const running = await start(dir, state, "delete-and-restore-default");
      const [name = ""] = readdirSync(dir);
      const kind = TEMP_NAME.exec(name)?.[1];
      assert.ok(kind, name);
      const locked = kind === "l";
      if (locked) assert.equal(FileLock.tryAcquireSync(`${dir}/${name}`), null, state);
      send(running, "SIGKILL");
      killed(await running.outcome, "SIGKILL", state);
      assert.deepEqual(readdirSync(dir), [name]);
      const lock = locked && FileLock.tryAcquireSync(`${dir}/${name}`);
      assert.notEqual(lock, null, state);
      if (lock) lock.releaseSync();
      unlinkSync(`${dir}/${name}`);
    }
  }));

// Only Deno has such permissions.
if (runtime === "deno") {
  test("Deno needs no more than the right to read and write", () =>
    withTempDir(async (dir) => {
      const running = startProgram("tests/programs/temp_holder", {
        args: [dir, "writable", "delete-and-restore-default"],
        permissions: [`--allow-read`, `--allow-write=${dir}`],
      });
      await said(running, "ready");
      send(running, "SIGTERM");
      killed(await running.outcome, "SIGTERM", "permissions");
      assert.deepEqual(readdirSync(dir), []);
    }));
}

describe("workers", () => {
  test("have their files removed by the main thread's handlers, however busy they are", () =>
    withTempDir(async (dir) => {
      const running = startProgram("tests/programs/temp_worker", { args: [dir, "3", "hold"] });
      await said(running, "ready");
      assert.equal(readdirSync(dir).length, 3);
      send(running, "SIGTERM");
      killed(await running.outcome, "SIGTERM", "workers");
      assert.deepEqual(readdirSync(dir), []);
    }));

  test("64 of them that make and remove files stop nobody from ending by a signal", () =>
    withTempDir(async (dir) => {
      const running = startProgram("tests/programs/temp_worker", { args: [dir, "64", "hammer"] });
      await said(running, "ready");
      send(running, "SIGINT");
      killed(await running.outcome, "SIGINT", "64 workers");
      // What was made in the last moment may be left: recognised, and not locked by anybody.
      for (const name of readdirSync(dir)) {
        assert.match(name, TEMP_NAME);
        if (!name.endsWith("l") || systemAdapter().capabilities.flock === "none") continue;
        const lock = FileLock.tryAcquireSync(`${dir}/${name}`);
        assert.notEqual(lock, null, name);
        lock?.releaseSync();
      }
    }));
});

import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { readdirSync, unlinkSync } from "node:fs";
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
          const { child, outcome } = await start(dir, state, "delete-and-restore-default");
          child.kill(signal);
          killed(await outcome, signal, state);
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
          running.child.kill(signal);
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
    running.child.kill("SIGTERM");
    await once;
    assert.deepEqual(readdirSync(dir), []);
    running.child.kill("SIGTERM");
    await twice;
    running.child.stdin?.write("exit\n");
    assert.equal((await running.outcome).code, 3);
  }));

test("handlers do not keep a process alive, and can be installed again after the first file", () =>
  withTempDir(async (dir) => {
    const { child, outcome } = await start(
      dir,
      "the second of two modes",
      "delete-and-restore-default",
    );
    child.stdin?.write("end\n");
    assert.equal((await outcome).code, 0);
    assert.deepEqual(readdirSync(dir), []);
  }));

test("without handlers a signal ends the process and leaves the file", () =>
  withTempDir(async (dir) => {
    const { child, outcome } = await start(dir, "writable");
    child.kill("SIGTERM");
    killed(await outcome, "SIGTERM", "no handlers");
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
        const { child, outcome } = await start(dir, state, "delete-and-restore-default");
        child.stdin?.write(`${how}\n`);
        const ended = await outcome;
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
      const { child, outcome } = await start(dir, state, "delete-and-restore-default");
      const [name = ""] = readdirSync(dir);
      const kind = TEMP_NAME.exec(name)?.[1];
      assert.ok(kind, name);
      const locked = kind === "l";
      if (locked) assert.equal(FileLock.tryAcquireSync(`${dir}/${name}`), null, state);
      child.kill("SIGKILL");
      killed(await outcome, "SIGKILL", state);
      assert.deepEqual(readdirSync(dir), [name]);
      const lock = locked && FileLock.tryAcquireSync(`${dir}/${name}`);
      assert.notEqual(lock, null, state);
      if (lock) lock.releaseSync();
      unlinkSync(`${dir}/${name}`);
    }
  }));

test("Deno without the right to send signals ends with the status that a shell shows", (t) =>
  withTempDir(async (dir) => {
    if (runtime !== "deno") return t.skip("only Deno has such permissions");
    const running = startProgram("tests/programs/temp_holder", {
      args: [dir, "writable", "delete-and-restore-default"],
      permissions: [`--allow-read`, `--allow-write=${dir}`],
    });
    await said(running, "ready");
    running.child.kill("SIGTERM");
    const { code, signal } = await running.outcome;
    assert.deepEqual([code, signal], [143, null]);
    assert.deepEqual(readdirSync(dir), []);
  }));

describe("workers", () => {
  test("have their files removed by the main thread's handlers, but for Deno's busy ones", () =>
    withTempDir(async (dir) => {
      const running = startProgram("tests/programs/temp_worker", { args: [dir, "3", "hold"] });
      await said(running, "ready");
      assert.equal(readdirSync(dir).length, 3);
      running.child.kill("SIGTERM");
      killed(await running.outcome, "SIGTERM", "workers");
      const left = readdirSync(dir);
      // In Deno the signal comes to each worker itself, and these do not listen while they wait.
      assert.equal(left.length, runtime === "deno" ? 3 : 0);
      for (const name of left) assert.match(name, TEMP_NAME);
    }));

  test("64 of them that make and remove files stop nobody from ending by a signal", () =>
    withTempDir(async (dir) => {
      const running = startProgram("tests/programs/temp_worker", { args: [dir, "64", "hammer"] });
      await said(running, "ready");
      running.child.kill("SIGINT");
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

import { test } from "node:test";
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import process from "node:process";
import { recoverStaleDirs, sweepOrphans, systemAdapter, TempDir } from "@crashsafe/fs";
import { type Running, runtimesHere, startProgram } from "../support/programs.ts";
import { skip } from "../support/root.ts";
import type { Runtime } from "../support/runtime.ts";
import { withTempDir } from "../support/temp_dir.ts";

const ROLES = ["creator", "creator", "recoverer", "sweeper"] as const;
/** With flock(1) each lock starts a process. */
const KILLS = systemAdapter().capabilities.flock === "helper" ? 8 : 24;

test("creators, recoverers and sweepers of all runtimes, killed at random, harm nobody and leave nothing", () =>
  withTempDir(async (dir) => {
    const [root, store] = [`${dir}/root`, `${dir}/store`];
    mkdirSync(store);
    const here = runtimesHere();
    const said: string[] = [];
    const start = (index: number): Running & { stopped: boolean } => {
      const on = here[index % here.length] as Runtime;
      const role = ROLES[index % ROLES.length] as string;
      const running = startProgram("tests/programs/temp_dirs", { on, args: [role, root, store] });
      const entry = { ...running, stopped: false };
      running.outcome.then(({ stdout, stderr, signal }) => {
        if (!entry.stopped || signal !== "SIGKILL") {
          said.push(`${role} on ${on}: ${stdout}${stderr}`);
        }
      });
      return entry;
    };
    const ready = (running: Running): Promise<void> =>
      new Promise((resolve) => {
        running.child.stdout?.once("data", () => resolve());
        running.outcome.then(() => resolve());
      });
    const living = [0, 1, 2, 3, 4].map(start);
    await Promise.all(living.map(ready));
    for (let kill = 0; kill < KILLS && said.length === 0; kill++) {
      const index = kill % living.length;
      const victim = living[index];
      if (victim === undefined) continue;
      // At a moment that nobody has chosen.
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 40));
      victim.stopped = true;
      process.kill(victim.child.pid as number, "SIGKILL");
      await victim.outcome;
      const next = start(living.length + kill);
      living[index] = next;
      await ready(next);
    }
    for (const last of living) {
      last.stopped = true;
      if (last.child.exitCode === null) process.kill(last.child.pid as number, "SIGKILL");
      await last.outcome;
    }
    assert.deepEqual(said, []);
    // Where locks are slow a newborn lock file promises none; that all are dead is known here.
    await sweepOrphans(root, { minAgeMs: 0 });
    let report = await recoverStaleDirs(root);
    // A flock(1) that a dead process had started has its descriptor for a moment longer.
    while (report.live.length > 0) report = await recoverStaleDirs(root);
    assert.deepEqual([report.failed, report.ignored], [[], []]);
    assert.deepEqual(readdirSync(root), []);
    const sweep = await sweepOrphans(store, { minAgeMs: 0 });
    assert.deepEqual([sweep.live, sweep.kept, sweep.failed], [[], [], []]);
    const left = readdirSync(store).filter((name) => name.startsWith("."));
    assert.deepEqual(left, []);
  }));

test("a root that holds a podman-shaped pair, locked with fcntl, survives a recovery", (t) =>
  withTempDir(async (dir) => {
    if (spawnSync("python3", ["-c", "import fcntl"]).status !== 0) {
      return skip(t, "locking with fcntl(2) needs python3");
    }
    mkdirSync(`${dir}/temp-dir-2841730662`);
    writeFileSync(`${dir}/temp-dir-2841730662/0-layer`, "precious");
    writeFileSync(`${dir}/lock-2841730662`, "");
    const holder = spawn("python3", [
      "-c",
      "import fcntl,sys; f=open(sys.argv[1],'r+'); fcntl.lockf(f, fcntl.LOCK_EX); print('held', flush=True); sys.stdin.read()",
      `${dir}/lock-2841730662`,
    ]);
    const ended = new Promise((resolve) => holder.on("close", resolve));
    await new Promise((resolve) => holder.stdout.once("data", resolve));
    const temp = await TempDir.create(dir);
    const report = await recoverStaleDirs(dir);
    assert.deepEqual([...report.ignored].sort(), [
      `${dir}/lock-2841730662`,
      `${dir}/temp-dir-2841730662`,
    ]);
    assert.deepEqual([report.removed, report.live], [[], [temp.path]]);
    await temp.cleanup();
    holder.stdin.end();
    await ended;
    // Nor without its owner: its shape is not ours.
    assert.deepEqual((await recoverStaleDirs(dir)).removed, []);
    assert.ok(existsSync(`${dir}/temp-dir-2841730662/0-layer`));
  }));

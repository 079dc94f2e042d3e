/**
 * SIGKILL at every system call. strace(1) attaches to a program that is about to do one job and lets the kernel kill it on entering the chosen call, so the call has
 * no effect and all before it have. First the job runs to its end and its calls are counted; then it dies once before each of them. What is left must be
 * old or new, and recoverable.
 */

import { test } from "node:test";
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { recoverStaleDirsSync, sweepOrphansSync } from "@crashsafe/fs";
import { startProgram } from "../support/programs.ts";
import { skip } from "../support/root.ts";
import type { Runtime } from "../support/runtime.ts";
import { withTempDir } from "../support/temp_dir.ts";
import { obstacle, report, RUNTIMES, saying } from "./support.ts";

/** What changes a file system, holds a lock or makes durable, and what looks at a file. */
const CALLS =
  "open,openat,openat2,creat,close,write,pwrite64,writev,pwritev,pwritev2,read,pread64,fstat,newfstatat,lstat,stat,statx,ftruncate," +
  "fchmod,fchmodat,chmod,fchown,utimensat,fsetxattr,fsync,fdatasync,syncfs,rename,renameat,renameat2,link,linkat,unlink,unlinkat,mkdir,mkdirat,rmdir," +
  "flock,getdents64,ioctl,access,faccessat,faccessat2";

/** A call on the files of the job. */
interface Call {
  readonly name: string;
  /** Its thread: the how many-th of the process. */
  readonly thread: number;
  /** The how many-th of this name in its thread: strace counts by thread. */
  readonly nth: number;
}

interface Trace {
  /** Calls on our files, as they began. */
  readonly calls: readonly Call[];
  /** How many of them ended. */
  readonly ended: number;
  /** Whether it said that it was done. */
  readonly done: boolean;
  readonly killed: boolean;
}

const JOBS = ["replace", "replaceSync", "group", "groupSync", "tempDir", "tempDirSync"] as const;

for (const on of RUNTIMES) {
  for (const job of JOBS) {
    test(`${job} on ${on}, killed at every system call, leaves old or new`, (t) => {
      const reason = obstacle("strace");
      if (reason !== undefined) return skip(t, reason);
      return withTempDir((dir) => killEverywhere(on, job, dir));
    });
  }
}

test("the check has teeth: fs.writeFileSync, killed at every system call, leaves neither", (t) => {
  const reason = obstacle("strace");
  if (reason !== undefined) return skip(t, reason);
  return withTempDir((dir) =>
    assert.rejects(killEverywhere("node", "careless", dir), /neither old nor new: ""/)
  );
});

async function killEverywhere(on: Runtime, job: string, dir: string): Promise<void> {
  const whole = await traced(on, job, dir);
  assert.ok(whole.done, "it ends when nobody kills it");
  const end = job.startsWith("tempDir") ? "b" : names(job).map(() => "new").join(" ");
  assert.equal(left(job, dir), end);
  const moments = new Set<number>();
  const states = new Map<string, number>();
  let kills = 0;
  for (let round = 0; round < ROUNDS && moments.size < whole.calls.length; round++) {
    for (const [index, call] of whole.calls.entries()) {
      if (moments.has(index)) continue;
      const { ended, done, killed } = await traced(on, job, dir, call, round > 0);
      const state = left(job, dir);
      if (done) assert.equal(state, end, "after it has said so");
      // Another thread did it this time, as its first of this name.
      if (!killed) continue;
      kills++;
      moments.add(ended);
      states.set(state, (states.get(state) ?? 0) + 1);
    }
  }
  const missed = whole.calls.filter((_, index) => !moments.has(index)).map(({ name }) => name);
  report({
    what: `${job} on ${on}`,
    kills,
    "system calls": whole.calls.length,
    "of them killed at": whole.calls.length - missed.length,
    "left after the recovery": [...states].map(([state, n]) => `${state}: ${n}`).join(", "),
  });
  // One thread does all of a synchronous job; of an asynchronous one several, and some of them new.
  const bearable = job.endsWith("Sync") ? 0 : Math.max(4, whole.calls.length / 4);
  assert.ok(missed.length <= bearable, `never killed at: ${missed.join(" ")}`);
}

/** A pool gives its work to any of its threads: who missed a moment tries again. */
const ROUNDS = 6;

/** Runs the job under strace, killed on entering a call: in the first thread that comes to it, or in that thread alone. */
async function traced(
  on: Runtime,
  job: string,
  dir: string,
  kill?: Call,
  inItsThread = false,
): Promise<Trace> {
  const at = `${dir}/job`;
  prepare(job, at);
  const program = startProgram("tests/programs/one_job", {
    on,
    args: [job, at],
    env: { UV_THREADPOOL_SIZE: "1" },
  });
  if (!(await saying(program, "ready\n"))) assert.fail((await program.outcome).stderr);
  const threads = readdirSync(`/proc/${program.child.pid}/task`).map(Number).sort((a, b) => a - b);
  const chosen = inItsThread ? threads[kill?.thread ?? 0] ?? threads[0] : undefined;
  const inject = kill === undefined
    ? []
    : ["-e", `inject=${kill.name}:signal=SIGKILL:when=${kill.nth}`];
  const log = `${dir}/log`;
  // Who kills in one thread leaves the others to a second strace, which only looks on.
  const tracers = chosen === undefined
    ? [await attach(`${log}-0`, ["-f", ...inject], threads.slice(0, 1))]
    : await Promise.all([
      attach(`${log}-0`, inject, [chosen]),
      attach(`${log}-1`, [], threads.filter((thread) => thread !== chosen)),
    ]);
  program.child.stdin?.end("x");
  const { stdout, stderr, signal, code } = await program.outcome;
  await Promise.all(tracers.map(({ detached }) => detached));
  const done = stdout.includes("done");
  const killed = signal === "SIGKILL";
  assert.ok(killed || (done && code === 0), `${code} ${signal} ${stderr}`);
  const parts = tracers.map((_, index) =>
    parse(readFileSync(`${log}-${index}`, "utf8"), at, threads)
  );
  return {
    calls: parts.flatMap(({ calls }) => calls),
    ended: parts.reduce((sum, { ended }) => sum + ended, 0),
    done,
    killed,
  };
}

/** Old files, and nothing of an earlier run. */
function prepare(job: string, at: string): void {
  for (const one of [at, `${at}-rehearsal`]) rmSync(one, { recursive: true, force: true });
  mkdirSync(at);
  if (job.startsWith("tempDir")) {
    mkdirSync(`${at}/a`);
    writeFileSync(`${at}/a/one`, "old one");
    writeFileSync(`${at}/a/two`, "old two");
  } else {
    for (const name of names(job)) writeFileSync(`${at}/${name}`, `old ${name}`);
  }
}

/** The files of a job. */
function names(job: string): readonly string[] {
  return job.startsWith("group") ? ["a", "b", "c"] : ["a"];
}

/** Starts strace on threads that run, and waits until it has all of them. */
async function attach(
  log: string,
  flags: readonly string[],
  threads: readonly number[],
): Promise<{ readonly detached: Promise<unknown> }> {
  const which = threads.flatMap((thread) => ["-p", String(thread)]);
  const strace = spawn("strace", ["-y", "-o", log, "-e", `trace=${CALLS}`, ...flags, ...which], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  const detached = new Promise((resolve) => strace.on("close", resolve));
  await new Promise<void>((resolve, reject) => {
    let said = "";
    strace.stderr.setEncoding("utf8").on("data", (text: string) => {
      said += text;
      if ((said.match(/attached/g)?.length ?? 0) >= threads.length) resolve();
    });
    detached.then(() => reject(new Error(`strace has ended: ${said}`)));
  });
  return { detached };
}

/** Reads strace's log: one thread's has no column for it. */
function parse(
  log: string,
  at: string,
  threads: readonly number[],
): { calls: Call[]; ended: number } {
  const calls: Call[] = [];
  const counts = new Map<string, number>();
  const begun = new Set<string>();
  let ended = 0;
  for (const line of log.split("\n")) {
    const [, thread = "", resumed, name] =
      /^(?:(\d+) +)?(<\.\.\. )?(\w+)(?:\(| resumed)/.exec(line) ?? [];
    if (name === undefined) continue;
    const key = `${thread} ${name}`;
    // "?": it never returned.
    const returned = / = (?!\?)/.test(line);
    if (resumed !== undefined) {
      if (begun.delete(key) && returned) ended++;
      continue;
    }
    const nth = (counts.get(key) ?? 0) + 1;
    counts.set(key, nth);
    if (![`${at}/`, `${at}>`, `${at}"`].some((place) => line.includes(place))) continue;
    calls.push({ name, nth, thread: threads.indexOf(Number(thread)) });
    if (line.endsWith("<unfinished ...>")) begun.add(key);
    else if (returned) ended++;
  }
  return { calls, ended };
}

/** Which versions the files of the job have after a recovery. Everything else is an error. */
function left(job: string, dir: string): string {
  const at = `${dir}/job`;
  if (job.startsWith("tempDir")) {
    for (;;) {
      sweepOrphansSync(at, { recursive: true, minAgeMs: 0 });
      const { live, failed, ignored } = recoverStaleDirsSync(`${at}/root`);
      assert.deepEqual([failed, ignored], [[], []]);
      // A flock(1) of the dead one has its descriptor for a moment longer.
      if (live.length === 0) break;
    }
    if (existsSync(`${at}/root`)) assert.deepEqual(readdirSync(`${at}/root`), []);
    const trees = readdirSync(at).filter((name) => name !== "root");
    for (const tree of trees) {
      const age = tree === "a" ? "old" : "new";
      for (const name of ["one", "two"]) {
        assert.equal(readFileSync(`${at}/${tree}/${name}`, "utf8"), `${age} ${name}`);
      }
    }
    return trees.sort().join("+") || "neither";
  }
  const { live, failed, kept } = sweepOrphansSync(at, { minAgeMs: 0 });
  assert.deepEqual([live, failed, kept], [[], [], []]);
  assert.deepEqual(readdirSync(at).sort(), names(job));
  return names(job).map((name) => {
    const content = readFileSync(`${at}/${name}`, "utf8");
    const whole = [`old ${name}`, `new ${name}`].includes(content);
    assert.ok(whole, `${name} is neither old nor new: ${JSON.stringify(content)}`);
    return content.slice(0, 3);
  }).join(" ");
}

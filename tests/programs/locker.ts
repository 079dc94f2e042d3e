// Locks by command: a line of JSON in, a line of JSON out. For tests that need processes of their own.

import { DirLock, FileLock, type HeldLock, LockHeldError, withLockSync } from "@crashsafe/fs";
import { spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import { createInterface } from "node:readline";

interface Command {
  readonly do:
    | "acquire"
    | "try"
    | "acquireSync"
    | "trySync"
    | "dir"
    | "release"
    | "child"
    | "count";
  readonly path: string;
  readonly shared?: boolean;
  readonly timeoutMs?: number;
  readonly times?: number;
}

const held = new Map<string, HeldLock>();

async function perform(command: Command): Promise<unknown> {
  const { path, shared = false, timeoutMs = Infinity, times = 0 } = command;
  const options = { shared, timeoutMs };
  switch (command.do) {
    case "acquire":
      return keep(path, await FileLock.acquire(path, options));
    case "acquireSync":
      return keep(path, FileLock.acquireSync(path, options));
    case "try":
      return keep(path, await FileLock.tryAcquire(path, { shared }));
    case "trySync":
      return keep(path, FileLock.tryAcquireSync(path, { shared }));
    case "dir":
      return keep(path, await DirLock.tryAcquire(path, { shared }));
    case "release":
      await held.get(path)?.release();
      return "released";
    case "child":
      // Lives on when this process is killed; it must not have inherited anything.
      return spawn("sleep", [path], { stdio: "ignore", detached: true }).pid;
    case "count":
      for (let step = 0; step < times; step++) {
        withLockSync(`${path}.lock`, () => {
          writeFileSync(path, String(Number(readFileSync(path, "utf8")) + 1));
        });
      }
      return "counted";
  }
}

function keep(path: string, lock: HeldLock | null): string {
  if (lock === null) return "busy";
  held.set(path, lock);
  return "held";
}

console.log('"ready"');
for await (const line of createInterface({ input: process.stdin })) {
  try {
    console.log(JSON.stringify(await perform(JSON.parse(line) as Command)));
  } catch (error) {
    const code = error instanceof LockHeldError ? error.code : String(error);
    console.log(JSON.stringify(code));
  }
}
process.exit();

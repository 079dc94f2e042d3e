import { spawn } from "node:child_process";
import process from "node:process";
import { startProgram } from "./programs.ts";
import type { Runtime } from "./runtime.ts";

/** A process that locks when it is told to. */
export interface Locker {
  readonly pid: number;
  /** Sends a command, and answers what came back. */
  ask(command: Readonly<Record<string, unknown>>): Promise<unknown>;
  /** Ends it and waits for its end. */
  end(signal?: NodeJS.Signals): Promise<void>;
}

/** Starts `tests/programs/locker` on a runtime. */
export async function startLocker(on: Runtime): Promise<Locker> {
  const { child, outcome } = startProgram("tests/programs/locker", { on });
  const lines = linesOf(child);
  const next = async (): Promise<unknown> => {
    const line = await Promise.race([lines.next(), outcome.then(({ stderr }) => fail(stderr))]);
    return JSON.parse(line);
  };
  await next();
  return {
    pid: child.pid as number,
    ask(command) {
      child.stdin?.write(`${JSON.stringify(command)}\n`);
      return next();
    },
    async end(signal) {
      if (signal === undefined) child.stdin?.end();
      else child.kill(signal);
      await outcome;
    },
  };
}

/** Locks with another program: `command` prints a line when it has the lock, and gives it up at the end of its input. */
export async function startForeign(
  command: string,
  args: readonly string[],
): Promise<Pick<Locker, "end" | "pid"> | undefined> {
  const child = spawn(command, [...args], { stdio: ["pipe", "pipe", "inherit"], env: process.env });
  const ended = new Promise<void>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", () => resolve());
  });
  child.stdout.setEncoding("utf8");
  const lines = linesOf(child);
  const first = await Promise.race([lines.next(), ended.then(() => undefined)]);
  if (first === undefined) return undefined;
  return {
    pid: child.pid as number,
    async end(signal) {
      if (signal === undefined) child.stdin.end();
      else child.kill(signal);
      await ended;
    },
  };
}

function fail(stderr: string): never {
  throw new Error(`the locker ended: ${stderr}`);
}

/** Lines as they come. */
function linesOf(child: ReturnType<typeof spawn>): { next(): Promise<string> } {
  const lines: string[] = [];
  const waiting: ((line: string) => void)[] = [];
  let rest = "";
  child.stdout?.on("data", (text) => {
    const parts = (rest + String(text)).split("\n");
    rest = parts.pop() ?? "";
    for (const line of parts) {
      const first = waiting.shift();
      if (first === undefined) lines.push(line);
      else first(line);
    }
  });
  return {
    next: () =>
      new Promise((resolve) => {
        const line = lines.shift();
        if (line === undefined) waiting.push(resolve);
        else resolve(line);
      }),
  };
}

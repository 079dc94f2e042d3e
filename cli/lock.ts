/** `crashsafe lock PATH -- COMMAND`. */

import { type ChildProcess, spawn } from "node:child_process";
import { constants } from "node:os";
import process from "node:process";
import { FileLock, LockHeldError } from "../mod.ts";
import { UsageError } from "./failures.ts";
import { parse } from "./publish_options.ts";

/** EX_TEMPFAIL of sysexits.h: try again later. */
const BUSY = 75;

export async function lock(args: readonly string[]): Promise<number> {
  const end = args.indexOf("--");
  if (end < 0 || end === args.length - 1) throw new UsageError("wanted -- COMMAND");
  const { values, positionals } = parse({
    args: args.slice(0, end),
    options: {
      shared: { type: "boolean" },
      timeout: { type: "string" },
      "no-wait": { type: "boolean" },
      busy: { type: "string" },
    },
    allowPositionals: true,
  });
  const [path = "", ...rest] = positionals;
  if (path === "" || rest.length > 0) throw new UsageError("wanted one PATH before --");
  if (values["no-wait"] && values.timeout !== undefined) {
    throw new UsageError("--no-wait and --timeout exclude each other");
  }
  const busy = statusOf(values.busy);
  const [command = "", ...commandArgs] = args.slice(end + 1);
  let held: FileLock;
  try {
    held = await FileLock.acquire(path, {
      shared: values.shared === true,
      timeoutMs: values["no-wait"] ? 0 : secondsOf(values.timeout),
    });
  } catch (error) {
    if (!(error instanceof LockHeldError)) throw error;
    process.stderr.write(`crashsafe: ${error.message}\n`);
    return busy;
  }
  try {
    return await run(command, commandArgs);
  } finally {
    await held.release();
  }
}

/** Runs a command in this one's place: its input, output and signals. Answers its status as a shell does. */
function run(command: string, args: readonly string[]): Promise<number> {
  return new Promise((resolve) => {
    // Before the command is started: a signal in its first moment must not end us and leave it alone.
    const forwarded = (["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT"] as const).map((signal) => {
      // Not child.kill(): Deno then takes the signal for what ended the command.
      const forward = (): void => void (child.pid && process.kill(child.pid, signal));
      process.on(signal, forward);
      return () => process.off(signal, forward);
    });
    const child: ChildProcess = spawn(command, [...args], { stdio: "inherit" });
    const finish = (status: number): void => {
      for (const stop of forwarded) stop();
      resolve(status);
    };
    child.on("error", (error: Error & { code?: string }) => {
      process.stderr.write(`crashsafe: cannot run ${JSON.stringify(command)}: ${error.message}\n`);
      finish(error.code === "ENOENT" ? 127 : 126);
    });
    child.on("close", (code, signal) => {
      finish(code ?? 128 + (signal === null ? 0 : constants.signals[signal]));
    });
  });
}

function secondsOf(text: string | undefined): number {
  if (text === undefined) return Infinity;
  const seconds = Number(text);
  if (text.trim() === "" || !(seconds >= 0)) {
    throw new UsageError(`--timeout must be seconds, not ${JSON.stringify(text)}`);
  }
  return seconds * 1000;
}

function statusOf(text: string | undefined): number {
  if (text === undefined) return BUSY;
  if (!/^\d{1,3}$/.test(text) || Number(text) > 255) {
    throw new UsageError(
      `--busy must be an exit status from 0 to 255, not ${JSON.stringify(text)}`,
    );
  }
  return Number(text);
}

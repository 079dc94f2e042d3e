// Brings temporary files into a state, says so, and waits for what comes: a signal, or a line on standard input that
// says how to end.

import {
  AtomicFile,
  createTempFileSync,
  installSignalHandlers,
  type SignalMode,
  systemAdapter,
  tempFileAtSync,
  type TerminationSignal,
} from "@crashsafe/fs";
import { FaultFs } from "@crashsafe/fs/testing";
import process from "node:process";
import { createInterface } from "node:readline";

const [dir = "", state = "", mode = "", listens = ""] = process.argv.slice(2);
const SIGNALS: readonly TerminationSignal[] = ["SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP"];

/** Operations that do not come to an end in time. */
const slow = new FaultFs(systemAdapter(), [
  { kinds: ["write", "fsync"], delayMs: 3_600_000, times: "always" },
]);

const states: Readonly<Record<string, () => unknown>> = {
  writable: () => createTempFileSync(dir).writeSync("content"),
  closed: () => createTempFileSync(dir).closeSync(),
  "during a write": () => void createTempFileSync(dir, { adapter: slow }).write("content"),
  "during a persist": () => void createTempFileSync(dir, { adapter: slow }).persist(`${dir}/no`),
  "inside withFile": () => void createTempFileSync(dir).withFile(() => new Promise(() => {})),
  "with parents": () =>
    tempFileAtSync(`${dir}/a/b/file`, {
      containingDirectory: "create",
      autoRemove: { emptyParentsUntil: dir },
    }),
  "a publish": () => void new AtomicFile(`${dir}/no`, { adapter: slow }).write("content"),
  "the second of two modes": () => {
    createTempFileSync(dir);
    installSignalHandlers("none");
    installSignalHandlers("delete");
  },
};

const ends: Readonly<Record<string, () => unknown>> = {
  end: () => process.stdin.destroy(),
  exit: () => process.exit(3),
  "Deno.exit": () => {
    const { Deno } = globalThis as { Deno?: { exit(code: number): never } };
    return Deno === undefined ? process.exit(3) : Deno.exit(3);
  },
  throw: () => {
    setTimeout(() => {
      throw new Error("nobody catches this");
    });
  },
  reject: () => void Promise.reject(new Error("nobody handles this")),
  "throw, handled": () => {
    process.on("uncaughtException", () => console.log("handled"));
    setTimeout(() => {
      throw new Error("somebody catches this");
    });
  },
};

states[state]?.();
if (mode !== "") installSignalHandlers(mode as SignalMode, { signals: SIGNALS });
if (listens !== "") {
  for (const signal of SIGNALS) {
    process.on(signal, () => console.log("heard"));
  }
}
createInterface({ input: process.stdin }).on("line", (line) => ends[line]?.());
console.log("ready");

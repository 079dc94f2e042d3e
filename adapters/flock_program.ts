/**
 * Locks through the program flock(1) of util-linux, for a Node without any foreign function interface: it locks the descriptor that it
 * inherits from us, which is the same open file, so the lock stays ours when the program has ended. Each call starts a process (2 ms).
 */

import type { ChildProcess, SpawnSyncReturns } from "node:child_process";
import process from "node:process";
import type { LockKind } from "../src/base/fs_adapter.ts";

/** flock(1) as three calls on a descriptor. */
export interface FlockProgram {
  flock(fd: number, kind: LockKind): boolean;
  funlock(fd: number): void;
  /** Waits in one process until the lock is had (true) or the signal comes (false). */
  flockWait(fd: number, kind: LockKind, signal: AbortSignal): Promise<boolean>;
}

/** Looks for the program, or answers undefined. Linux only: elsewhere flock(1) is another program. */
export function findFlockProgram(): FlockProgram | undefined {
  if (process.platform !== "linux") return undefined;
  try {
    const { spawnSync } = process.getBuiltinModule("node:child_process");
    const { status, stdout } = spawnSync("flock", ["--version"], { encoding: "utf8" });
    // BusyBox's has neither --version nor a status of its own for "busy".
    if (status !== 0 || !stdout.includes("util-linux")) return undefined;
  } catch {
    // Forbidden (--permission without --allow-child-process).
    return undefined;
  }
  return { flock: lockNow, funlock: unlock, flockWait: lockLater };
}

/** What flock(1) ends with when the lock is held; its own failures have other statuses (sysexits.h). */
const BUSY = 1;

function lockNow(fd: number, kind: LockKind): boolean {
  const { status, stderr, error } = runOn(fd, ["--nonblock", flagOf(kind)]);
  if (status === 0) return true;
  if (status === BUSY && stderr === "") return false;
  throw failure(stderr, status, error);
}

function unlock(fd: number): void {
  const { status, stderr, error } = runOn(fd, ["--unlock"]);
  if (status !== 0) throw failure(stderr, status, error);
}

function lockLater(fd: number, kind: LockKind, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return resolve(false);
    const { spawn } = process.getBuiltinModule("node:child_process");
    const child: ChildProcess = spawn("flock", [flagOf(kind), "3"], {
      stdio: ["ignore", "ignore", "pipe", fd],
      env: { ...process.env, LC_ALL: "C" },
    });
    let stderr = "";
    child.stderr?.on("data", (text) => stderr += String(text));
    const stop = (): void => void child.kill("SIGTERM");
    signal.addEventListener("abort", stop, { once: true });
    child.once("error", (error) => {
      signal.removeEventListener("abort", stop);
      reject(failure(stderr, null, error));
    });
    // Only when the process has ended nobody else has the descriptor any more. The lock may have come in the moment of the signal.
    child.once("close", (status) => {
      signal.removeEventListener("abort", stop);
      if (status === 0) resolve(true);
      else if (signal.aborted) resolve(false);
      else reject(failure(stderr, status, undefined));
    });
  });
}

function runOn(fd: number, flags: readonly string[]): SpawnSyncReturns<string> {
  const { spawnSync } = process.getBuiltinModule("node:child_process");
  return spawnSync("flock", [...flags, "3"], {
    stdio: ["ignore", "ignore", "pipe", fd],
    encoding: "utf8",
    env: { ...process.env, LC_ALL: "C" },
  });
}

function flagOf(kind: LockKind): string {
  return kind === "shared" ? "--shared" : "--exclusive";
}

/** What the program could not do, with the errno that its message names: `flock: 3: No locks available`. */
function failure(stderr: string, status: number | null, error: Error | undefined): Error {
  const words = stderr.trim();
  const code = Object.entries(ERRNOS).find(([, message]) => words.endsWith(message))?.[0] ??
    (error as { code?: string } | undefined)?.code ?? "EIO";
  const what = words || error?.message || `it ended with ${status}`;
  return Object.assign(new Error(`${code}: flock(1) failed: ${what}`, { cause: error }), { code });
}

const ERRNOS = {
  ENOLCK: "No locks available",
  ENOTSUP: "Operation not supported",
  EBADF: "Bad file descriptor",
  EINVAL: "Invalid argument",
  ENOSYS: "Function not implemented",
  EACCES: "Permission denied",
} as const;

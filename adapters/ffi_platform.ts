/** A platform whose locks and exact times come from the C library, where that can be reached. */

import process from "node:process";
import type { Capabilities, TimePrecision } from "../src/base/fs_adapter.ts";
import { UnsupportedError } from "../src/base/errors.ts";
import {
  cloneFile,
  flockNow,
  type LibcCalls,
  LOCK_EX,
  LOCK_SH,
  setMtime,
  syncWholeFs,
  unlockNow,
} from "./libc.ts";
import type { FlockProgram } from "./flock_program.ts";
import type { Platform } from "./node_fs.ts";

/** What a runtime brings. */
export interface FfiRuntime {
  readonly name: string;
  /** Opens the C library; called once, at the first need. */
  readonly openLibc: () => LibcCalls | undefined;
  /** How exactly node:fs sets a time here. */
  readonly mtimePrecision: TimePrecision;
  /** How exactly node:fs reads a time here. */
  readonly mtimeReadPrecision: TimePrecision;
  /** Whether fsync, fchmod, fchown and futimes are allowed. */
  readonly handleCalls: boolean;
  /** Looks for flock(1) when the C library cannot be called. */
  readonly findProgram?: () => FlockProgram | undefined;
}

export function ffiPlatform(runtime: FfiRuntime): Platform {
  let opened: { readonly calls: LibcCalls | undefined } | undefined;
  const libc = (): LibcCalls | undefined => (opened ??= { calls: runtime.openLibc() }).calls;
  let looked: { readonly program: FlockProgram | undefined } | undefined;
  const program = (): FlockProgram | undefined => {
    if (libc() !== undefined) return undefined;
    return (looked ??= { program: runtime.findProgram?.() }).program;
  };
  const required = (operation: string): LibcCalls => {
    const calls = libc();
    if (calls !== undefined) return calls;
    throw new UnsupportedError(
      operation,
      `Cannot ${operation}: ${runtime.name} cannot call the C library here`,
      {
        operation,
        path: "",
      },
    );
  };
  let capabilities: Capabilities | undefined;
  return {
    name: runtime.name,
    get capabilities() {
      return capabilities ??= lazyCapabilities(runtime, libc, program);
    },
    setMtime(handle, mtimeNs) {
      const calls = libc();
      if (calls !== undefined) setMtime(calls, handle.fd, mtimeNs);
      return calls !== undefined;
    },
    flock: (handle, kind) =>
      program()?.flock(handle.fd, kind) ??
        flockNow(required("flock"), handle.fd, kind === "shared" ? LOCK_SH : LOCK_EX),
    funlock(handle) {
      const helper = program();
      if (helper === undefined) unlockNow(required("flock"), handle.fd);
      else helper.funlock(handle.fd);
    },
    flockWait: (handle, kind, signal) => program()?.flockWait(handle.fd, kind, signal),
    clone(from, to) {
      const calls = libc();
      return calls !== undefined && cloneFile(calls, from.fd, to.fd);
    },
    syncFs: (handle) => syncWholeFs(required("syncfs"), handle.fd),
  };
}

/** Before Linux 5.8 syncfs(2) answered "done" for data that could not be written (syncfs(2), "VERSIONS"). */
function tellsSyncErrors(): boolean {
  const release = process.getBuiltinModule("node:os").release();
  const [major = 0, minor = 0] = release.split(".").map((part) => parseInt(part, 10));
  return major > 5 || (major === 5 && minor >= 8);
}

/** The facts that need the C library are found out when somebody asks for them. */
function lazyCapabilities(
  runtime: FfiRuntime,
  libc: () => LibcCalls | undefined,
  program: () => FlockProgram | undefined,
): Capabilities {
  return {
    get flock() {
      if (libc() !== undefined) return "ffi";
      return program() === undefined ? "none" : "helper";
    },
    get mtimePrecision() {
      return libc() === undefined ? runtime.mtimePrecision : "ns";
    },
    mtimeReadPrecision: runtime.mtimeReadPrecision,
    fsync: runtime.handleCalls,
    fsyncDir: runtime.handleCalls && process.platform !== "win32",
    get syncFs() {
      return libc()?.syncfs !== undefined && tellsSyncErrors();
    },
    get clone() {
      return libc()?.ioctl !== undefined;
    },
    handleMetadata: runtime.handleCalls,
  };
}

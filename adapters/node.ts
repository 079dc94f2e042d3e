/** What differs in Node: node:ffi from version 26 on, the optional package koffi before. */

import process from "node:process";
import type { FsAdapter } from "../src/base/fs_adapter.ts";
import { ffiPlatform } from "./ffi_platform.ts";
import { findFlockProgram } from "./flock_program.ts";
import { type LibcCalls, type LibcNames, libcNames } from "./libc.ts";
import { nodeFsAdapter } from "./node_fs.ts";

/** Node's file system. */
export const nodeAdapter: FsAdapter = nodeFsAdapter(ffiPlatform({
  name: "node",
  openLibc,
  mtimePrecision: "us",
  mtimeReadPrecision: "ns",
  findProgram: findFlockProgram,
  // The permission model disables these whatever was granted (Node's documentation, "Permission Model constraints").
  handleCalls: (process as { permission?: unknown }).permission === undefined,
}));

function openLibc(): LibcCalls | undefined {
  const names = libcNames(process.platform, process.arch);
  if (names === undefined) return undefined;
  return openNodeFfi(names) ?? openKoffi(names);
}

type CFunction = (...args: readonly unknown[]) => number;

/** The part of node:ffi used here. */
interface NodeFfi {
  dlopen(library: string | null, functions: Record<string, unknown>): {
    readonly functions: Record<string, CFunction>;
  };
  getInt32(pointer: unknown, offset: number): number;
}

function openNodeFfi(names: LibcNames): LibcCalls | undefined {
  try {
    const ffi = quietly(() => process.getBuiltinModule("node:ffi" as "node:fs")) as unknown as
      | NodeFfi
      | undefined;
    if (ffi === undefined) return undefined;
    const { functions } = ffi.dlopen(null, {
      flock: { arguments: ["i32", "i32"], return: "i32" },
      futimens: { arguments: ["i32", "pointer"], return: "i32" },
      [names.errnoAddress]: { arguments: [], return: "pointer" },
      ...(names.linux
        ? {
          syncfs: { arguments: ["i32"], return: "i32" },
          ioctl: { arguments: ["i32", "u64", "i32"], return: "i32" },
        }
        : {}),
    });
    const { flock, futimens, syncfs, ioctl, [names.errnoAddress]: errnoAddress } = functions;
    if (flock === undefined || futimens === undefined || errnoAddress === undefined) {
      return undefined;
    }
    return {
      flock,
      futimens,
      ...(syncfs && ioctl ? { syncfs, ioctl } : {}),
      errno: () => ffi.getInt32(errnoAddress(), 0),
    };
  } catch {
    // Forbidden (--permission without --allow-ffi) or changed: koffi may do, else the capabilities tell.
    return undefined;
  }
}

/** Loading node:ffi prints an ExperimentalWarning, which is no business of our users' users. */
function quietly<T>(load: () => T): T {
  const { emitWarning } = process;
  process.emitWarning = () => {};
  try {
    return load();
  } finally {
    process.emitWarning = emitWarning;
  }
}

/** The part of koffi used here. */
interface Koffi {
  load(
    library: string,
  ): { func(name: string, result: string, parameters: readonly string[]): CFunction };
  errno(): number;
}

function openKoffi(names: LibcNames): LibcCalls | undefined {
  let koffi: Koffi;
  try {
    koffi = process.getBuiltinModule("node:module").createRequire(import.meta.url)(
      "koffi",
    ) as Koffi;
  } catch {
    // Not installed: it is optional.
    return undefined;
  }
  for (const library of names.libraries) {
    try {
      const libc = koffi.load(library);
      return {
        flock: libc.func("flock", "int", ["int", "int"]),
        futimens: libc.func("futimens", "int", ["int", "void *"]),
        ...(names.linux
          ? {
            syncfs: libc.func("syncfs", "int", ["int"]),
            ioctl: libc.func("ioctl", "int", ["int", "uint64_t", "int"]),
          }
          : {}),
        errno: () => koffi.errno(),
      };
    } catch {
      // Not this library: the next name.
    }
  }
  return undefined;
}

/** What differs in Bun: bun:ffi reaches the C library in a third of a microsecond. */

import process from "node:process";
import type { FsAdapter } from "../src/base/fs_adapter.ts";
import { ffiPlatform } from "./ffi_platform.ts";
import { type LibcCalls, libcNames } from "./libc.ts";
import { nodeFsAdapter } from "./node_fs.ts";

/** Bun's file system. */
export const bunAdapter: FsAdapter = nodeFsAdapter(ffiPlatform({
  name: "bun",
  openLibc,
  mtimePrecision: "us",
  mtimeReadPrecision: "ns",
  handleCalls: true,
}));

/** The part of bun:ffi used here; a static import of it could not be loaded by the other runtimes. */
interface BunFfi {
  dlopen(library: string, symbols: Record<string, unknown>): {
    readonly symbols: Record<string, (...args: readonly unknown[]) => number>;
  };
  readonly ptr: (bytes: ArrayBufferView) => number;
  readonly read: { i32(pointer: number, offset: number): number };
}

function openLibc(): LibcCalls | undefined {
  const names = libcNames(process.platform, process.arch);
  const ffi = process.getBuiltinModule("bun:ffi") as unknown as BunFfi | undefined;
  if (names === undefined || ffi === undefined) return undefined;
  for (const library of names.libraries) {
    try {
      const { symbols } = ffi.dlopen(library, {
        flock: { args: ["i32", "i32"], returns: "i32" },
        futimens: { args: ["i32", "ptr"], returns: "i32" },
        [names.errnoAddress]: { args: [], returns: "ptr" },
        ...(names.linux
          ? {
            syncfs: { args: ["i32"], returns: "i32" },
            ioctl: { args: ["i32", "u64", "i32"], returns: "i32" },
          }
          : {}),
      });
      const { flock, futimens, syncfs, ioctl, [names.errnoAddress]: errnoAddress } = symbols;
      if (flock === undefined || futimens === undefined || errnoAddress === undefined) continue;
      return {
        flock,
        futimens: (fd, times) => futimens(fd, ffi.ptr(times)),
        ...(syncfs && ioctl ? { syncfs, ioctl } : {}),
        errno: () => ffi.read.i32(errnoAddress(), 0),
      };
    } catch {
      // Not this library: the next name, or no library, which the capabilities tell.
    }
  }
  return undefined;
}

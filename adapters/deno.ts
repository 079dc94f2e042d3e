/**
 * What differs in Deno: it locks by itself, but only its own FsFile, which has no descriptor; and its foreign function
 * interface is used only where the user has granted it already.
 */

import fs from "node:fs";
import { arch, platform } from "node:process";
import type { FsAdapter } from "../src/base/fs_adapter.ts";
import { ffiPlatform } from "./ffi_platform.ts";
import { type LibcCalls, libcNames } from "./libc.ts";
import { type FdHandle, nodeFsAdapter, type Platform } from "./node_fs.ts";

/** Deno's file system. */
export const denoAdapter: FsAdapter = nodeFsAdapter(denoPlatform());

function denoPlatform(): Platform {
  const ffi = ffiPlatform({
    name: "deno",
    openLibc,
    mtimePrecision: "us",
    // stat has milliseconds in every form that Deno offers.
    mtimeReadPrecision: "ms",
    handleCalls: true,
  });
  return {
    ...ffi,
    get capabilities() {
      return Object.create(ffi.capabilities, { flock: { value: "native", enumerable: true } });
    },
    setMtime(handle, mtimeNs) {
      if (ffi.setMtime(handle, mtimeNs)) return true;
      if (mtimeNs >= 0n) return false;
      // Deno's futimes takes every negative time for "now", in silence.
      throw Object.assign(new Error("ENOTSUP: a time before 1970 needs --allow-ffi in Deno"), {
        code: "ENOTSUP",
      });
    },
    openLockable,
    closeLockable: (handle) => (handle as Partial<LockableHandle>).file?.close(),
    flock: (handle, kind) => {
      const { file } = handle as Partial<LockableHandle>;
      return file === undefined ? ffi.flock(handle, kind) : file.tryLockSync(kind === "exclusive");
    },
    funlock(handle) {
      const { file } = handle as Partial<LockableHandle>;
      if (file === undefined) ffi.funlock(handle);
      else file.unlockSync();
    },
  };
}

/** A descriptor, and beside it the only kind of handle that Deno locks without FFI. */
interface LockableHandle extends FdHandle {
  readonly file: Deno.FsFile;
}

/**
 * Opens the file twice and makes sure that both are one inode. The second open cannot refuse symbolic links, and opening a
 * FIFO to read alone would hang; so it comes after a look, asks for read and write, and is compared.
 */
function openLockable(path: string, open: () => FdHandle): FdHandle | LockableHandle {
  const handle = open();
  if (ffiLibrary() !== undefined) return handle;
  try {
    if (!fs.lstatSync(path).isFile()) throw swapped(path);
    const file = Deno.openSync(path, { read: true, write: true });
    const one = fs.fstatSync(handle.fd, { bigint: true });
    const other = file.statSync();
    if (Number(one.dev) === other.dev && Number(one.ino) === other.ino) return { ...handle, file };
    file.close();
    throw swapped(path);
  } catch (cause) {
    fs.closeSync(handle.fd);
    throw cause;
  }
}

/** The name was given to another file between the two opens. ESTALE, so that the core tries again. */
function swapped(path: string): Error {
  return Object.assign(
    new Error(`ESTALE: the file was replaced while it was opened, open '${path}'`),
    {
      code: "ESTALE",
    },
  );
}

/** The name of the C library that this process may open without being asked anything. */
function ffiLibrary(): string | undefined {
  const names = libcNames(platform, arch)?.libraries ?? [];
  if (isGranted({ name: "ffi" })) return names[0];
  // A grant for one file names it in full.
  return names.flatMap((name) => LIBRARY_DIRS.map((dir) => `${dir}/${name}`))
    .find((path) => isGranted({ name: "ffi", path }));
}

function isGranted(permission: Deno.FfiPermissionDescriptor): boolean {
  return Deno.permissions.querySync(permission).state === "granted";
}

const LIBRARY_DIRS = [
  "/lib/x86_64-linux-gnu",
  "/lib/aarch64-linux-gnu",
  "/lib64",
  "/lib",
  "/usr/lib",
];

function openLibc(): LibcCalls | undefined {
  const names = libcNames(platform, arch);
  const library = ffiLibrary();
  if (names === undefined || library === undefined) return undefined;
  const candidates = library.includes("/") ? [library] : names.libraries;
  for (const candidate of candidates) {
    try {
      const { symbols } = Deno.dlopen(candidate, {
        flock: { parameters: ["i32", "i32"], result: "i32" },
        futimens: { parameters: ["i32", "buffer"], result: "i32" },
        syncfs: { parameters: ["i32"], result: "i32", optional: true },
        ioctl: { parameters: ["i32", "u64", "i32"], result: "i32", optional: true },
        __errno_location: { parameters: [], result: "pointer", optional: true },
        __error: { parameters: [], result: "pointer", optional: true },
      });
      const errnoAddress = symbols.__errno_location ?? symbols.__error;
      if (errnoAddress === null) continue;
      const { flock, futimens, syncfs, ioctl } = symbols;
      return {
        flock,
        futimens: (fd, times) => futimens(fd, new Uint8Array(times.buffer as ArrayBuffer)),
        ...(names.linux && syncfs && ioctl ? { syncfs, ioctl } : {}),
        errno() {
          const address = errnoAddress();
          return address === null ? 0 : new Deno.UnsafePointerView(address).getInt32();
        },
      };
    } catch {
      // Not this library: the next name, or none, which the capabilities tell.
    }
  }
  return undefined;
}

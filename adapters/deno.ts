/**
 * What differs in Deno: it locks by itself, but only its own FsFile, which has no descriptor; and its foreign function
 * interface is used only where the user has granted it already.
 */

import fs from "node:fs";
import { arch, platform } from "node:process";
import { setImmediate } from "node:timers";
import type {
  Capabilities,
  FileStat,
  FsAdapter,
  FsHandle,
  OpenOptions,
} from "../src/base/fs_adapter.ts";
import { denoExits } from "./exit_hooks.ts";
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
  let capabilities: Capabilities | undefined;
  return {
    ...ffi,
    get capabilities() {
      return capabilities ??= Object.create(ffi.capabilities, {
        flock: { value: "native", enumerable: true },
      });
    },
    setMtime(handle, mtimeNs) {
      if (ffi.setMtime(handle, mtimeNs)) return true;
      if (mtimeNs >= 0n) return false;
      // Deno's futimes takes every negative time for "now", in silence.
      throw Object.assign(new Error("ENOTSUP: a time before 1970 needs --allow-ffi in Deno"), {
        code: "ENOTSUP",
      });
    },
    exits: denoExits,
    stats: { stat: (path) => look(Deno.statSync, path), lstat, fstat },
    openLockable,
    closeLater,
    closeLockable(handle) {
      if (handle instanceof LockableHandle) handle.close();
      else fs.closeSync(handle.fd);
    },
    flock: (handle, kind) =>
      handle instanceof LockableHandle
        ? handle.file.tryLockSync(kind === "exclusive")
        : ffi.flock(handle, kind),
    funlock(handle) {
      if (handle instanceof LockableHandle) handle.file.unlockSync();
      else ffi.funlock(handle);
    },
  };
}

interface Closing {
  readonly fd: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}
const closing: Closing[] = [];

/** Deno has no close on another thread: a few at a time, between other things. */
function closeLater(fd: number): Promise<void> {
  return new Promise((resolve, reject) => {
    if (closing.push({ fd, resolve, reject }) === 1) setImmediate(closeSome);
    else if (closing.length > MOST_CLOSING) closeOne();
  });
}

function closeSome(): void {
  const end = performance.now() + LONGEST_STRETCH_MS;
  do closeOne(); while (closing.length > 0 && performance.now() < end);
  if (closing.length > 0) setImmediate(closeSome);
}

function closeOne(): void {
  const next = closing.shift();
  if (next === undefined) return;
  try {
    fs.closeSync(next.fd);
    next.resolve();
  } catch (error) {
    next.reject(error);
  }
}

const LONGEST_STRETCH_MS = 0.25;
/** Descriptors that wait here; who comes with more has to wait himself. */
const MOST_CLOSING = 128;

/** The only kind of handle that Deno locks, and a descriptor of the same file for what it cannot do. */
class LockableHandle implements FdHandle {
  readonly file: Deno.FsFile;
  readonly #path: string;
  readonly #options: OpenOptions;
  #fd: number | undefined;

  constructor(path: string, options: OpenOptions, file: Deno.FsFile, fd?: number) {
    this.file = file;
    this.#path = path;
    this.#options = options;
    this.#fd = fd;
  }

  /** Opened at the first need: who only locks has none. */
  get fd(): number {
    if (this.#fd === undefined) {
      const { access } = this.#options;
      const flags = access === "read" ? fs.constants.O_RDONLY : fs.constants.O_RDWR;
      const fd = fs.openSync(this.#path, flags | (fs.constants.O_NOFOLLOW ?? 0));
      const opened = fs.fstatSync(fd);
      if (!sameFile(opened, this.file.statSync())) {
        fs.closeSync(fd);
        throw swapped(this.#path);
      }
      this.#fd = fd;
    }
    return this.#fd;
  }

  close(): void {
    try {
      this.file.close();
    } finally {
      if (this.#fd !== undefined) fs.closeSync(this.#fd);
    }
  }
}

/**
 * Opens what Deno can lock. That open cannot refuse symbolic links, and opening a FIFO to read alone would hang; so it comes
 * after a look, and what it opened is compared with it.
 */
function openLockable(path: string, options: OpenOptions, open: () => FdHandle): FdHandle {
  if (options.create === "exclusive") {
    const made = open();
    // The C library locks the descriptor itself.
    if (ffiIsGranted()) return made;
    try {
      const file = Deno.openSync(path, { read: true, write: true });
      if (sameFile(fs.fstatSync(made.fd), file.statSync())) {
        return new LockableHandle(path, options, file, made.fd);
      }
      file.close();
      throw swapped(path);
    } catch (cause) {
      fs.closeSync(made.fd);
      throw cause;
    }
  }
  const there = look(Deno.lstatSync, path);
  if (there === undefined) {
    // Missing, or made by somebody else at this moment: node:fs makes it without following a link.
    fs.closeSync(open().fd);
    return openLockable(path, { ...options, create: undefined } as unknown as OpenOptions, open);
  }
  // The right error for a symbolic link or a directory comes from an open that refuses them.
  if ((there.mode & FILE_TYPE) !== REGULAR) return open();
  const file = Deno.openSync(path, { read: true, write: options.access !== "read" });
  const opened = file.statSync();
  if (there.ino === BigInt(opened.ino ?? 0) && there.dev === BigInt(opened.dev)) {
    return new LockableHandle(path, options, file);
  }
  file.close();
  throw swapped(path);
}

/** The name was given to another file between a look and an open. ESTALE, so that the core tries again. */
function swapped(path: string): Error {
  const message = `ESTALE: the file was replaced while it was opened, open '${path}'`;
  return Object.assign(new Error(message), { code: "ESTALE" });
}

function sameFile(
  one: { readonly dev: number; readonly ino: number },
  other: Deno.FileInfo,
): boolean {
  return one.dev === other.dev && one.ino === other.ino;
}

function lstat(path: string): FileStat | undefined {
  return look(Deno.lstatSync, path);
}

function fstat(handle: FsHandle): FileStat {
  if (handle instanceof LockableHandle) return toStat(handle.file.statSync());
  const { dev, ino, nlink, mode, uid, gid, size, mtimeMs } = fs.fstatSync((handle as FdHandle).fd);
  return {
    dev: BigInt(dev),
    ino: BigInt(ino),
    nlink,
    mode,
    uid,
    gid,
    size,
    mtimeNs: nanoseconds(mtimeMs),
  };
}

/** Deno's own calls take a third of the time of its node:fs. */
function look(call: (path: string) => Deno.FileInfo, path: string): FileStat | undefined {
  try {
    return toStat(call(path));
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return undefined;
    throw cause;
  }
}

function toStat(info: Deno.FileInfo): FileStat {
  const { dev, ino, nlink, mode, uid, gid, size, mtime } = info;
  return {
    dev: BigInt(dev),
    // Numbers in all of Deno's forms: an inode number above 2^53 is rounded, everywhere in the same way.
    ino: BigInt(ino ?? 0),
    nlink: nlink ?? 1,
    mode: mode ?? (info.isDirectory ? DIRECTORY : info.isSymlink ? SYMLINK : REGULAR) | 0o666,
    uid: uid ?? 0,
    gid: gid ?? 0,
    size,
    mtimeNs: nanoseconds(mtime?.getTime() ?? 0),
  };
}

function nanoseconds(ms: number): bigint {
  return BigInt(Math.floor(ms)) * 1_000_000n;
}

const FILE_TYPE = 0o170000;
const REGULAR = 0o100000;
const DIRECTORY = 0o040000;
const SYMLINK = 0o120000;

/** Looked up once: what is granted later makes nothing work that did not work before. */
function ffiIsGranted(): boolean {
  return (granted ??= { library: ffiLibrary() }).library !== undefined;
}

let granted: { readonly library: string | undefined } | undefined;

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

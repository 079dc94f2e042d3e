/**
 * The shared part of all three adapters: Deno, Bun and Node all implement node:fs well. What differs is in
 * {@linkcode Platform}: who sets exact times, who locks, and what is forbidden.
 */

import fs from "node:fs";
import process from "node:process";
import { setImmediate } from "node:timers";
import type {
  Capabilities,
  DirEntry,
  ExitHooks,
  FileStat,
  FsAdapter,
  FsHandle,
  FsOps,
  LockKind,
  OpenOptions,
  SyncFsOps,
} from "../src/base/fs_adapter.ts";

import { nodeExits } from "./exit_hooks.ts";

/** What an adapter of node:fs hands out. */
export interface FdHandle {
  readonly fd: number;
}

/** What differs between the runtimes. */
export interface Platform {
  readonly name: string;
  readonly capabilities: Capabilities;
  /** Sets the modification time exactly; answers false where that is not possible here. */
  setMtime(handle: FdHandle, mtimeNs: bigint): boolean;
  flock(handle: FdHandle, kind: LockKind): boolean;
  funlock(handle: FdHandle): void;
  /** Waits in one operation, where a try is dear; undefined elsewhere. */
  flockWait?(
    handle: FdHandle,
    kind: LockKind,
    signal: AbortSignal,
  ): PromiseLike<boolean> | undefined;
  /** How this runtime ends, where it is not as Node does. */
  readonly exits?: ExitHooks;
  syncFs(handle: FdHandle): void;
  clone(from: FdHandle, to: FdHandle): boolean;
  /** What stat(2), lstat(2) and fstat(2) tell, where the runtime has a quicker way than its node:fs. */
  readonly stats?: Pick<SyncFsOps, "stat" | "lstat" | "fstat">;
  /** Opens a lockable handle where a descriptor alone cannot be locked. */
  openLockable?(path: string, options: OpenOptions, open: () => FdHandle): FdHandle;
  /** Closes a descriptor off the caller's way, where fs.close() does not: the last close of a file without names frees it. */
  closeLater?(fd: number): Promise<void>;
  /** Closes a handle of {@linkcode openLockable}, and any other. */
  closeLockable?(handle: FdHandle): void;
}

/** An adapter over node:fs. */
export function nodeFsAdapter(platform: Platform): FsAdapter {
  const sync = syncOps(platform);
  return {
    name: platform.name,
    sync,
    async: asyncOps(sync, platform),
    get capabilities() {
      return platform.capabilities;
    },
    process: {
      get pid() {
        return process.pid;
      },
      cwd: () => process.cwd(),
      fromFileUrl: (url) => builtin("node:url").fileURLToPath(url),
      exits: platform.exits ?? nodeExits,
    },
    transientRenameErrors: process.platform === "win32" ? ["EBUSY", "EACCES", "EPERM"] : [],
    classify,
    digest: (algorithm) => builtin("node:crypto").createHash(algorithm),
  };
}

function syncOps(platform: Platform): SyncFsOps {
  return {
    open(path, options) {
      const open = (): FdHandle => ({ fd: fs.openSync(path, openFlags(options), options.mode) });
      if (options.lockable && platform.openLockable) {
        return platform.openLockable(path, options, open);
      }
      return open();
    },
    openDir: (path) => ({ fd: fs.openSync(path, RDONLY | DIRECTORY) }),
    read: (handle, buffer, position = -1) =>
      fs.readSync(fdOf(handle), buffer, 0, buffer.byteLength, position < 0 ? null : position),
    write: (handle, bytes, position = -1) =>
      fs.writeSync(fdOf(handle), bytes, 0, bytes.byteLength, position < 0 ? null : position),
    fsync: (handle) => fs.fsyncSync(fdOf(handle)),
    fsyncDir: (handle) => fs.fsyncSync(fdOf(handle)),
    syncFs: (handle) => platform.syncFs(handle as FdHandle),
    close(handle) {
      if (platform.closeLockable === undefined) fs.closeSync(fdOf(handle));
      else platform.closeLockable(handle as FdHandle);
    },
    pin: O_PATH === undefined
      ? undefined
      : (path, dev) =>
        isBlockDevice(dev) ? new Pin(fs.openSync(path, O_PATH | NOFOLLOW)) : undefined,
    stat: platform.stats?.stat ?? ((path) => toStat(fs.statSync(path, BIGINT_OR_MISSING))),
    lstat: platform.stats?.lstat ?? ((path) => toStat(fs.lstatSync(path, BIGINT_OR_MISSING))),
    fstat: platform.stats?.fstat ??
      ((handle) => toStat(fs.fstatSync(fdOf(handle), { bigint: true }))),
    chmod: (path, mode) => fs.chmodSync(path, mode),
    fchmod: (handle, mode) => fs.fchmodSync(fdOf(handle), mode),
    fchown: (handle, uid, gid) => fs.fchownSync(fdOf(handle), uid, gid),
    futimes(handle, mtimeNs) {
      if (platform.setMtime(handle as FdHandle, mtimeNs)) return;
      const { atimeMs } = fs.fstatSync(fdOf(handle));
      fs.futimesSync(fdOf(handle), atimeMs / 1e3, nodeSeconds(mtimeNs));
    },
    flock: (handle, kind) => platform.flock(handle as FdHandle, kind),
    funlock: (handle) => platform.funlock(handle as FdHandle),
    readlink: (path) => fs.readlinkSync(path),
    rename: (from, to) => fs.renameSync(from, to),
    link: (from, to) => fs.linkSync(from, to),
    unlink: (path) => fs.unlinkSync(path),
    mkdir: (path, mode) => void fs.mkdirSync(path, { mode }),
    rmdir: (path) => fs.rmdirSync(path),
    readdir: (path) => fs.readdirSync(path, { withFileTypes: true }).map(toEntry),
    clone: (from, to) => platform.clone(from as FdHandle, to as FdHandle),
    sleep: (ms) => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms),
  };
}

/**
 * The same for asynchronous callers. Opening, renaming, looking at and changing a file take microseconds, less than
 * the hop to another thread and back, so they run here; what waits for a disk, or copies much, does not.
 */
function asyncOps(sync: SyncFsOps, platform: Platform): FsOps {
  const { flockWait } = platform;
  const closeLater = platform.closeLater ?? ((fd) => promise((done) => fs.close(fd, done)));
  return {
    ...sync,
    // Looked for at the first need, as every capability.
    get flockWait() {
      if (flockWait === undefined || platform.capabilities.flock !== "helper") return undefined;
      return (handle: FsHandle, kind: LockKind, signal: AbortSignal) =>
        flockWait(handle as FdHandle, kind, signal) ?? Promise.resolve(false);
    },
    read: (handle, buffer, position = -1) =>
      promise((done) =>
        fs.read(fdOf(handle), buffer, 0, buffer.byteLength, position < 0 ? null : position, done)
      ),
    write(handle, bytes, position = -1) {
      if (bytes.byteLength <= WRITTEN_AT_ONCE_BYTES) return sync.write(handle, bytes, position);
      return promise((done) =>
        fs.write(fdOf(handle), bytes, 0, bytes.byteLength, position < 0 ? null : position, done)
      );
    },
    fsync: (handle) => promise((done) => fs.fsync(fdOf(handle), done)),
    fsyncDir: (handle) => promise((done) => fs.fsync(fdOf(handle), done)),
    close: (handle) => handle instanceof Pin ? closeLater(handle.fd) : sync.close(handle),
    readdir: async (path) =>
      (await fs.promises.readdir(path, { withFileTypes: true })).map(toEntry),
    // No time at all: the next turn of the event loop.
    sleep: (ms) =>
      new Promise((resolve) => ms > 0 ? setTimeout(resolve, ms) : setImmediate(resolve)),
  };
}

/** A file that is open for nothing but its inode. */
class Pin implements FdHandle {
  readonly fd: number;

  constructor(fd: number) {
    this.fd = fd;
  }
}

/** open(2): needs no permission on the file, and waits for nothing. Missing in the constants of node:fs, and another one on some machines. */
const O_PATH = process.platform === "linux" && ["x64", "arm64"].includes(process.arch)
  ? 0o10000000
  : undefined;

/**
 * Whether the file system lies on a block device of this machine, by the major number in st_dev (makedev(3)); the others have 0. NFS is among
 * those: there a rename over a file that is open gives that file another name first, and for a moment there is none.
 */
function isBlockDevice(dev: bigint): boolean {
  return ((dev >> 8n) & 0xfffn) !== 0n || (dev >> 44n) !== 0n;
}

/** Up to this size a write into the page cache is quicker than a thread. */
const WRITTEN_AT_ONCE_BYTES = 1 << 16;

const { O_RDONLY: RDONLY, O_WRONLY, O_RDWR, O_CREAT, O_EXCL } = fs.constants;
// Windows has none of these.
const DIRECTORY = fs.constants.O_DIRECTORY ?? 0;
const NOFOLLOW = fs.constants.O_NOFOLLOW ?? 0;
const NONBLOCK = fs.constants.O_NONBLOCK ?? 0;
const BIGINT_OR_MISSING = { bigint: true, throwIfNoEntry: false } as const;

/** Loaded at its first use: importing node:crypto takes as long as importing the whole package. */
function builtin(name: "node:crypto"): typeof import("node:crypto");
function builtin(name: "node:url"): typeof import("node:url");
function builtin(name: "node:crypto" | "node:url"): unknown {
  return process.getBuiltinModule(name);
}

function openFlags(options: OpenOptions): number {
  const access = { "read": RDONLY | NONBLOCK, "write": O_WRONLY, "read-write": O_RDWR };
  const create = options.create === undefined
    ? 0
    : options.create === "exclusive"
    ? O_CREAT | O_EXCL
    : O_CREAT;
  return access[options.access] | create | (options.noFollow ? NOFOLLOW : 0);
}

function fdOf(handle: FsHandle): number {
  return (handle as FdHandle).fd;
}

/** A callback of node:fs as a promise: one hop less than node:fs/promises takes. */
function promise<T = void>(
  call: (done: (error: Error | null, value?: T) => void) => void,
): Promise<T> {
  return new Promise((resolve, reject) => {
    call((error, value) => error ? reject(error) : resolve(value as T));
  });
}

function toStat(stat: fs.BigIntStats): FileStat;
function toStat(stat: fs.BigIntStats | undefined): FileStat | undefined;
function toStat(stat: fs.BigIntStats | undefined): FileStat | undefined {
  return stat && {
    dev: stat.dev,
    ino: stat.ino,
    nlink: Number(stat.nlink),
    mode: Number(stat.mode),
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    size: Number(stat.size),
    mtimeNs: stat.mtimeNs,
  };
}

function toEntry(entry: fs.Dirent): DirEntry {
  const kind = entry.isFile()
    ? "file"
    : entry.isDirectory()
    ? "directory"
    : entry.isSymbolicLink()
    ? "symlink"
    : "other";
  return { name: entry.name, kind };
}

/**
 * A time as node:fs takes it. A negative number means "now" to it, a string of the same number does not; and the
 * parts are added up as floats, because a count of nanoseconds would lose its last three digits at once.
 */
function nodeSeconds(ns: bigint): number | string {
  const seconds = Number(ns / 1_000_000_000n) + Number(ns % 1_000_000_000n) / 1e9;
  return seconds < 0 ? String(seconds) : seconds;
}

function classify(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null) return undefined;
  const { code, name } = error as { code?: unknown; name?: unknown };
  // A permission that Deno was not given.
  if (name === "NotCapable") return "ERR_ACCESS_DENIED";
  if (typeof code !== "string") return undefined;
  return /^E[A-Z0-9]+$/.test(code) || code === "ERR_ACCESS_DENIED" ? code : undefined;
}

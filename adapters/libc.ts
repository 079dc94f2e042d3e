/**
 * The few calls of the C library that no runtime offers, made through its foreign function interface where there is one.
 * Each runtime's file says how to open the library; what the calls mean is said once, here.
 */

import process from "node:process";

/** The calls as the C library declares them. They answer 0, or -1 with errno set. */
export interface LibcCalls {
  /** flock(2). */
  flock(fd: number, operation: number): number;
  /** futimens(3), with two timespecs: access time, modification time. */
  futimens(fd: number, times: BigInt64Array): number;
  /** syncfs(2); Linux only. */
  syncfs?(fd: number): number;
  /** ioctl(2) with a descriptor as its argument; Linux only. */
  ioctl?(fd: number, request: bigint, argument: number): number;
  /** errno of the calling thread, read right after a call that failed. */
  errno(): number;
}

/** An error of a C call with the shape of Node's own. */
export class LibcError extends Error {
  /** The errno name. */
  readonly code: string;

  constructor(call: string, errno: number) {
    const code = errnoName(errno);
    super(`${code}: ${call}`);
    this.code = code;
  }
}

/** flock(2) without waiting. Answers false when somebody else holds the lock. */
export function flockNow(libc: LibcCalls, fd: number, operation: number): boolean {
  for (;;) {
    if (libc.flock(fd, operation | LOCK_NB) === 0) return true;
    const error = new LibcError("flock", libc.errno());
    if (error.code === "EAGAIN" || error.code === "EWOULDBLOCK") return false;
    if (error.code !== "EINTR") throw error;
  }
}

/** Gives the lock back. */
export function unlockNow(libc: LibcCalls, fd: number): void {
  if (libc.flock(fd, LOCK_UN) !== 0) throw new LibcError("flock", libc.errno());
}

/** Sets the modification time exactly and leaves the access time alone. */
export function setMtime(libc: LibcCalls, fd: number, mtimeNs: bigint): void {
  const nanoseconds = ((mtimeNs % SECOND) + SECOND) % SECOND;
  const times = BigInt64Array.of(0n, UTIME_OMIT, (mtimeNs - nanoseconds) / SECOND, nanoseconds);
  if (libc.futimens(fd, times) !== 0) throw new LibcError("futimens", libc.errno());
}

/** Flushes the whole file system that holds the descriptor. */
export function syncWholeFs(libc: LibcCalls, fd: number): void {
  if (libc.syncfs === undefined) throw new LibcError("syncfs", ENOSYS);
  if (libc.syncfs(fd) !== 0) throw new LibcError("syncfs", libc.errno());
}

/** Shares the blocks of one file with another (ioctl_ficlone(2)). Answers false where that cannot be done. */
export function cloneFile(libc: LibcCalls, from: number, to: number): boolean {
  // Whatever it says no with (EOPNOTSUPP, EXDEV, EINVAL, ETXTBSY), the bytes can still be copied.
  return libc.ioctl !== undefined && libc.ioctl(to, FICLONE, from) === 0;
}

/** Where this system keeps the C library, and its name for the address of errno. */
export interface LibcNames {
  /** Names to try, in order. */
  readonly libraries: readonly string[];
  /** The function that answers the address of errno. */
  readonly errnoAddress: string;
  /** Whether syncfs(2) and the ioctl FICLONE exist. */
  readonly linux: boolean;
}

/** The names for a platform, or undefined where the layout of timespec is not known to us. */
export function libcNames(platform: string, arch: string): LibcNames | undefined {
  if (!["x64", "arm64", "riscv64", "ppc64", "s390x", "loong64"].includes(arch)) return undefined;
  if (platform === "linux") {
    const musl = { x64: "x86_64", arm64: "aarch64" }[arch] ?? arch;
    return {
      libraries: ["libc.so.6", `libc.musl-${musl}.so.1`],
      errnoAddress: "__errno_location",
      linux: true,
    };
  }
  if (platform === "darwin") {
    return { libraries: ["libSystem.B.dylib"], errnoAddress: "__error", linux: false };
  }
  return undefined;
}

/** Operations of flock(2), the same numbers on Linux, macOS and the BSDs. */
export const LOCK_SH = 1;
export const LOCK_EX = 2;
const LOCK_UN = 8;
const LOCK_NB = 4;

/** linux/fs.h: _IOW(0x94, 9, int). */
const FICLONE = 0x40049409n;
const SECOND = 1_000_000_000n;
/** utimensat(2): leave this time alone. */
const UTIME_OMIT = process.platform === "darwin" ? -2n : 0x3ffffffen;

/** "Function not implemented" of Linux, where syncfs is looked for. */
const ENOSYS = 38;

function errnoName(errno: number): string {
  for (
    const [name, number] of Object.entries(process.getBuiltinModule("node:os").constants.errno)
  ) {
    if (number === errno && name !== "EWOULDBLOCK") return name;
  }
  return `errno ${errno}`;
}

/**
 * Every error of the package. Callers branch on `code`: an errno name (`"ENOSPC"`) where the system
 * said no, a word of ours (`"HashMismatch"`) where we did. Messages read
 * `Cannot <verb> "<path>": <what is>, <what is now true>`.
 *
 * Three things are never wrapped in these classes: a {@linkcode HashMismatchError} (it is one
 * already), a TypeError for misuse, and the reason of an abort.
 *
 * @module
 */

/**
 * What every {@linkcode CrashSafeError} knows.
 *
 * @example What every error tells
 * ```ts
 * import { CrashSafeError, type ErrorDetails } from "@crashsafe/fs";
 *
 * const details: ErrorDetails = { code: "EIO", operation: "fsync", path: "/file" };
 * console.log(new CrashSafeError("Cannot fsync", details).code); // EIO
 * ```
 */
export interface ErrorDetails {
  /** An errno name such as `"EACCES"`, or a word of this package such as `"HashMismatch"`. */
  readonly code: string;
  /** The operation that failed, in the words of the adapter (`"write"`, `"fsync"`, `"rename"`, …), or `"check"`. */
  readonly operation: string;
  /** The path that the caller will recognise. */
  readonly path: string;
  /** The second path of a rename, link or copy. */
  readonly dest?: string | undefined;
  /** A temporary file that could not be removed and is still there. */
  readonly leftover?: string | undefined;
  /** The native error, or the caller's own. */
  readonly cause?: unknown;
}

/**
 * The parent of all errors of this package.
 *
 * @example Branch on the code
 * ```ts
 * import { atomicWriteSync, CrashSafeError } from "@crashsafe/fs";
 *
 * try {
 *   atomicWriteSync("/no/such/directory/file", "data");
 * } catch (error) {
 *   if (!(error instanceof CrashSafeError)) throw error;
 *   console.log(error.code, error.operation, error.path);
 * }
 * ```
 */
export class CrashSafeError extends Error {
  /** The class, for logs. */
  override readonly name: string = "CrashSafeError";
  /** An errno name, or a word of this package. */
  readonly code: string;
  /** The operation that failed. */
  readonly operation: string;
  /** The path concerned. */
  readonly path: string;
  /** The second path, where there is one. */
  readonly dest?: string;
  /** A temporary file that is still there because it could not be removed. */
  readonly leftover?: string;

  /** Made by this package; exported for `instanceof`. */
  constructor(message: string, details: ErrorDetails) {
    super(message, "cause" in details ? { cause: details.cause } : undefined);
    this.code = details.code;
    this.operation = details.operation;
    this.path = details.path;
    if (details.dest !== undefined) this.dest = details.dest;
    if (details.leftover !== undefined) this.leftover = details.leftover;
  }
}

/**
 * Nothing was published: the target is what it was before the call.
 *
 * @example The old file is as it was
 * ```ts
 * import { atomicWriteSync, PublishError } from "@crashsafe/fs";
 *
 * try {
 *   atomicWriteSync("missing-directory/file", "data");
 * } catch (error) {
 *   if (!(error instanceof PublishError)) throw error;
 *   console.log(error.code, error.operation); // ENOENT open
 * }
 * ```
 */
export class PublishError extends CrashSafeError {
  /** The class, for logs. */
  override readonly name: string = "PublishError";
}

/**
 * The bytes do not have the digest that was asked for. Nothing was published, nothing returned.
 *
 * @example Compare
 * ```ts
 * import { AtomicFile, HashMismatchError } from "@crashsafe/fs";
 * import { MemoryFs } from "@crashsafe/fs/testing";
 *
 * try {
 *   new AtomicFile("/file", { adapter: new MemoryFs() })
 *     .withHash("99aa06d3014798d86001c324468d497f").writeSync("not empty");
 * } catch (error) {
 *   if (!(error instanceof HashMismatchError)) throw error;
 *   console.log(error.expected, error.actual);
 * }
 * ```
 */
export class HashMismatchError extends CrashSafeError {
  /** The class, for logs. */
  override readonly name: string = "HashMismatchError";
  /** The digest asked for, in lower-case hexadecimal. */
  readonly expected: string;
  /** The digest of the bytes, in lower-case hexadecimal. */
  readonly actual: string;
  /** The algorithm of both. */
  readonly algorithm: string;

  /** Made by this package; exported for `instanceof`. */
  constructor(path: string, algorithm: string, expected: string, actual: string, truth: string) {
    super(
      `Cannot verify "${path}": the ${algorithm} is ${actual}, wanted ${expected}, ${truth}`,
      { code: "HashMismatch", operation: "verify", path },
    );
    this.algorithm = algorithm;
    this.expected = expected;
    this.actual = actual;
  }
}

/**
 * The new content is (or may be) in place, but it could not be made durable, or it cannot be told
 * whether it is in place. Never thrown for a failure before the commit point.
 *
 * @example It is there, but may not stay
 * ```ts
 * import { atomicWriteSync, DurabilityUnknownError } from "@crashsafe/fs";
 * import { FaultFs, MemoryFs } from "@crashsafe/fs/testing";
 *
 * const adapter = new FaultFs(new MemoryFs(), [{ kinds: ["fsyncDir"], errno: "EIO" }]);
 * try {
 *   atomicWriteSync("/file", "data", { adapter });
 * } catch (error) {
 *   if (!(error instanceof DurabilityUnknownError)) throw error;
 *   console.log(error.committed); // true
 * }
 * ```
 */
export class DurabilityUnknownError extends CrashSafeError {
  /** The class, for logs. */
  override readonly name: string = "DurabilityUnknownError";
  /** `true`: readers see the new content now. `"unknown"`: the system would not tell. */
  readonly committed: true | "unknown";

  /** Made by this package; exported for `instanceof`. */
  constructor(message: string, details: ErrorDetails, committed: true | "unknown") {
    super(message, details);
    this.committed = committed;
  }
}

/**
 * The lock is held by somebody else, and was not released in the time given. Nothing is held, nothing changed.
 *
 * @example Who has it
 * ```ts
 * import { FileLock, LockHeldError } from "@crashsafe/fs";
 * import { rmSync } from "node:fs";
 *
 * const lock = await FileLock.acquire("example.lock", { holder: "the first" });
 * try {
 *   await FileLock.acquire("example.lock", { timeoutMs: 10 });
 * } catch (error) {
 *   if (!(error instanceof LockHeldError)) throw error;
 *   console.log(error.holder, error.attempts); // the first 1
 * }
 * await lock.release();
 * rmSync("example.lock");
 * ```
 */
export class LockHeldError extends CrashSafeError {
  /** The class, for logs. */
  override readonly name: string = "LockHeldError";
  /** How often the lock was tried. */
  readonly attempts: number;
  /** How long was waited, in milliseconds. */
  readonly waitedMs: number;
  /** What the lock file says about its holder: for people, written by anybody. */
  readonly holder?: string;

  /** Made by this package; exported for `instanceof`. */
  constructor(
    message: string,
    details: ErrorDetails,
    wait: {
      readonly attempts: number;
      readonly waitedMs: number;
      readonly holder?: string | undefined;
    },
  ) {
    super(message, details);
    this.attempts = wait.attempts;
    this.waitedMs = wait.waitedMs;
    if (wait.holder !== undefined) this.holder = wait.holder;
  }
}

/**
 * Several things failed, or what they all need cannot be read.
 *
 * @example A root that is no directory
 * ```ts
 * import { recoverStaleDirsSync, RecoveryError } from "@crashsafe/fs";
 * import { rmSync, writeFileSync } from "node:fs";
 *
 * writeFileSync("example-root", "");
 * try {
 *   recoverStaleDirsSync("example-root");
 * } catch (error) {
 *   if (!(error instanceof RecoveryError)) throw error;
 *   console.log(error.code); // ENOTDIR
 * }
 * rmSync("example-root");
 * ```
 */
export class RecoveryError extends CrashSafeError {
  /** The class, for logs. */
  override readonly name: string = "RecoveryError";
  /** What failed, each by itself. */
  readonly errors: readonly unknown[];

  /** Made by this package; exported for `instanceof`. */
  constructor(message: string, details: ErrorDetails, errors: readonly unknown[]) {
    super(message, details);
    this.errors = errors;
  }
}

/**
 * Something that was asked for cannot be done here. Thrown before any effect.
 *
 * @example What is missing
 * ```ts
 * import { atomicWriteSync, UnsupportedError } from "@crashsafe/fs";
 * import { FaultFs, MemoryFs } from "@crashsafe/fs/testing";
 *
 * const adapter = new FaultFs(new MemoryFs(), [{ kinds: ["fsyncDir"], errno: "EINVAL" }]);
 * try {
 *   atomicWriteSync("/file", "data", { adapter, requireDurability: true });
 * } catch (error) {
 *   if (!(error instanceof UnsupportedError)) throw error;
 *   console.log(error.capability); // fsyncDir
 * }
 * ```
 */
export class UnsupportedError extends CrashSafeError {
  /** The class, for logs. */
  override readonly name: string = "UnsupportedError";
  /** The missing capability. */
  readonly capability: string;

  /** Made by this package; exported for `instanceof`. */
  constructor(capability: string, message: string, details: Omit<ErrorDetails, "code">) {
    super(message, { ...details, code: "Unsupported" });
    this.capability = capability;
  }
}

/** A mistake of the caller: a TypeError that is passed through unwrapped wherever it surfaces. */
export class MisuseError extends TypeError {
  /** To the caller it is a plain TypeError. */
  override readonly name: string = "TypeError";
}

/** An errno name with the words that strerror(3) has for it. */
export function explainCode(code: string): string {
  const words = WORDS[code];
  return words === undefined ? code : `${code} (${words})`;
}

const WORDS: Readonly<Record<string, string>> = {
  EACCES: "permission denied",
  EBADF: "bad file descriptor",
  EBUSY: "the target is in use or is a mount point",
  EDQUOT: "disk quota exceeded",
  EEXIST: "it exists already",
  EFBIG: "file too large",
  EINVAL: "invalid argument",
  EIO: "input/output error",
  EISDIR: "it is a directory",
  ELOOP: "it is a symbolic link, or too many of them in a row",
  EMFILE: "too many open files in this process",
  ENAMETOOLONG: "the name is too long",
  ENFILE: "too many open files in the system",
  ENOENT: "no such file or directory",
  ENOLCK: "no locks available",
  ENOSPC: "no space left on device",
  ENOSYS: "not implemented here",
  ENOTDIR: "a component of the path is not a directory",
  ENOTEMPTY: "the directory is not empty",
  ENOTSUP: "not supported by this file system",
  ENXIO: "no such device, or a FIFO or socket",
  EPERM: "operation not permitted",
  EROFS: "read-only file system",
  ESTALE: "stale file handle",
  ETXTBSY: "the program is running",
  EXDEV: "not on the same file system",
  ERR_ACCESS_DENIED: "the runtime's permissions do not allow it",
  FsyncFailed:
    "an fsync of the temporary file has failed before, its data may be lost: write it anew",
  NoProgress: "the system wrote nothing and gave no error",
  NotRegular: "it is not a regular file",
  SourceFailed: "the source of the bytes failed",
};

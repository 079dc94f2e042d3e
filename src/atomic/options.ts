/**
 * The options of an atomic write, as callers give them and as the core uses them: checked and
 * completed once, at the door, before anything is touched.
 */

import type { FsAdapter } from "../base/fs_adapter.ts";
import { MisuseError, UnsupportedError } from "../base/errors.ts";
import { requireSignal } from "../base/abort.ts";
import { nameOf } from "../base/paths.ts";
import {
  type Digest,
  type ExpectedHash,
  type HashAlgorithm,
  type WantedHash,
  wantedHash,
} from "../hash/digest.ts";

/**
 * What has to survive what.
 *
 * - `"none"`: old or new after a killed process. A power cut may leave anything.
 * - `"file"`: old or new after a power cut as well; the last versions may roll back.
 * - `"full"`: and what resolved stays resolved.
 *
 * @example Less for what can be made again
 * ```ts
 * import { atomicWriteSync, type Durability } from "@crashsafe/fs";
 * import { MemoryFs } from "@crashsafe/fs/testing";
 *
 * const durability: Durability = "none";
 * atomicWriteSync("/cache", "x", { durability, adapter: new MemoryFs() });
 * ```
 */
export type Durability = "none" | "file" | "full";

/**
 * A point in time: a `Date`, milliseconds, nanoseconds, or a `Temporal.Instant`, since 1970.
 *
 * @example The same moment four times
 * ```ts
 * import { type Mtime } from "@crashsafe/fs";
 *
 * const times: Mtime[] = [new Date(1000), 1000, 1_000_000_000n, { epochNanoseconds: 1_000_000_000n }];
 * console.log(times.length); // 4
 * ```
 */
export type Mtime = Date | number | bigint | { readonly epochNanoseconds: bigint };

/**
 * Options of every atomic write.
 *
 * @example For every write of a program
 * ```ts
 * import { type AtomicWriteOptions, atomicWriteSync } from "@crashsafe/fs";
 * import { MemoryFs } from "@crashsafe/fs/testing";
 *
 * const options: AtomicWriteOptions = { mode: 0o600, symlink: "refuse", adapter: new MemoryFs() };
 * console.log(atomicWriteSync("/secret", "x", options).mode.toString(8)); // 600
 * ```
 */
export interface AtomicWriteOptions {
  /**
   * What has to survive what.
   * @default "full"
   */
  readonly durability?: Durability;
  /**
   * Refuse, before anything is published, where the durability asked for cannot be had, instead of
   * saying in the receipt what was reached. Costs one more fsync of the directory with `"full"`.
   * @default false
   */
  readonly requireDurability?: boolean;
  /**
   * Permission bits of the published file, umask or not. `"preserve"`: those of the file replaced; for a new
   * file 0666 less the umask, or what the directory's default ACL says.
   * @default "preserve"
   */
  readonly mode?: number | "preserve";
  /**
   * `"preserve"`: try to keep the owner and group of the file replaced; the receipt says when that
   * was not allowed. `"current"`: the file becomes this process's own.
   * @default "preserve"
   */
  readonly owner?: "preserve" | "current";
  /**
   * What to do when the target exists. With `"fail"` exactly one of several racing writers wins and the
   * others get code `EEXIST`; it needs a file system with hard links.
   * @default "replace"
   */
  readonly existing?: "replace" | "fail";
  /**
   * What to do when the target is a symbolic link: write what it leads to (which may be missing),
   * replace the link itself, or refuse with code `ELOOP`.
   * @default "follow"
   */
  readonly symlink?: "follow" | "replace" | "refuse";
  /**
   * `"create"` makes missing directories, with 0777 less the umask, and makes them durable with `"full"`.
   * They stay when the write fails. `"require"` fails with code `ENOENT` instead.
   * @default "create" for AtomicFile, "require" for atomicWrite
   */
  readonly parents?: "create" | "require";
  /** Publish only bytes with this digest; a digest alone is an xxh3-128 (or an integrity string). */
  readonly hash?: Digest | ExpectedHash;
  /** The modification time that the file is published with. */
  readonly mtime?: Mtime;
  /**
   * Ends an asynchronous write before its commit point: nothing is published and the promise rejects
   * with `signal.reason` itself. A synchronous write looks at it once, at its start.
   */
  readonly signal?: AbortSignal;
  /**
   * Called while the bytes are written, at most 25 times a second and once
   * at their end, before the file is published. What it throws ends the write.
   */
  readonly onProgress?: (progress: Progress) => void;
  /**
   * Let a later write of the same path with equal options take this one's place while it waits for its turn: both resolve when the later content is
   * there, this one's receipt with `coalesced: true`. For asynchronous writes of bytes in memory; a `hash` or `mtime` counts as an option.
   * @default false
   */
  readonly coalesce?: boolean;
  /** A file system other than the runtime's own. */
  readonly adapter?: FsAdapter;
}

/**
 * How far a write has come.
 *
 * @example A line for people
 * ```ts
 * import { AtomicFile, type Progress } from "@crashsafe/fs";
 * import { MemoryFs } from "@crashsafe/fs/testing";
 *
 * const show = ({ bytes, total }: Progress): void => console.log(`${bytes} of ${total ?? "?"}`);
 * new AtomicFile("/file", { adapter: new MemoryFs(), onProgress: show }).writeSync("data"); // 4 of 4
 * ```
 */
export interface Progress {
  /** Bytes written so far. */
  readonly bytes: number;
  /** How many there will be, as far as the source tells: a hint. */
  readonly total?: number;
}

/** The same, complete and checked. */
export interface ResolvedOptions {
  readonly durability: Durability;
  readonly requireDurability: boolean;
  readonly mode: number | undefined;
  readonly preserveOwner: boolean;
  readonly existing: "replace" | "fail";
  readonly symlink: "follow" | "replace" | "refuse";
  readonly createParents: boolean;
  readonly coalesce: boolean;
  readonly hash: WantedHash | undefined;
  readonly mtimeNs: bigint | undefined;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: ((progress: Progress) => void) | undefined;
}

/** Checks and completes options. Throws a TypeError for a value that makes no sense. */
export function resolveOptions(
  options: AtomicWriteOptions,
  parents: "create" | "require",
): ResolvedOptions {
  if (typeof options !== "object" || options === null) {
    throw new MisuseError(`Options must be an object, not ${nameOf(options)}`);
  }
  const { mode = "preserve", mtime, hash, signal, onProgress } = options;
  if (mode !== "preserve" && !(Number.isInteger(mode) && mode >= 0 && mode <= 0o7777)) {
    throw new MisuseError(
      `mode must be "preserve" or permission bits up to 0o7777, not ${String(mode)}`,
    );
  }
  requireSignal(signal);
  if (onProgress !== undefined && typeof onProgress !== "function") {
    throw new MisuseError(`onProgress must be a function, not ${nameOf(onProgress)}`);
  }
  return Object.freeze({
    durability: oneOf<Durability>("durability", options.durability, ["full", "file", "none"]),
    requireDurability: oneOf<boolean>("requireDurability", options.requireDurability, [
      false,
      true,
    ]),
    mode: mode === "preserve" ? undefined : mode,
    preserveOwner: oneOf("owner", options.owner, ["preserve", "current"]) === "preserve",
    existing: oneOf<"replace" | "fail">("existing", options.existing, ["replace", "fail"]),
    symlink: oneOf<"follow" | "replace" | "refuse">("symlink", options.symlink, [
      "follow",
      "replace",
      "refuse",
    ]),
    createParents: oneOf("parents", options.parents ?? parents, ["require", "create"]) === "create",
    coalesce: oneOf<boolean>("coalesce", options.coalesce, [false, true]),
    hash: hash === undefined ? undefined : resolveHash(hash),
    mtimeNs: mtime === undefined ? undefined : mtimeNanoseconds(mtime),
    signal,
    onProgress,
  });
}

/** Refuses what is known beforehand to be impossible with this adapter. */
export function requireCapabilities(adapter: FsAdapter, path: string, o: ResolvedOptions): void {
  const can = adapter.capabilities;
  const refuse = (capability: string, why: string): never => {
    throw new UnsupportedError(
      capability,
      `Cannot publish "${path}": ${why}, nothing was touched`,
      { operation: "publish", path },
    );
  };
  if (o.durability !== "none" && !can.fsync) {
    refuse(
      "fsync",
      `${adapter.name} does not let this process fsync, only durability "none" works`,
    );
  }
  if (o.durability === "full" && o.requireDurability && !can.fsyncDir) {
    refuse("fsyncDir", `directories cannot be fsynced here, durability "full" cannot be reached`);
  }
  if (!can.handleMetadata && (o.mode !== undefined || o.mtimeNs !== undefined)) {
    refuse(
      "handleMetadata",
      `${adapter.name} does not let this process set the mode or the time of a file`,
    );
  }
}

/** Nanoseconds since 1970 of what a caller may call a time. */
export function mtimeNanoseconds(mtime: Mtime): bigint {
  const ns = nanoseconds(mtime);
  if (ns >= -FARTHEST_NS && ns <= FARTHEST_NS) return ns;
  throw new MisuseError(`mtime is more than 100 million days from 1970: ${ns} ns`);
}

/** As far as a Date and a Temporal.Instant reach; beyond 64 bits of seconds a system call would wrap around. */
const FARTHEST_NS = 8_640_000_000_000_000_000_000n;

function nanoseconds(mtime: Mtime): bigint {
  if (typeof mtime === "bigint") return mtime;
  if (mtime instanceof Date || typeof mtime === "number") {
    const ms = Number(mtime);
    if (!Number.isFinite(ms)) throw new MisuseError(`mtime is not a time: ${String(mtime)}`);
    const whole = Math.floor(ms);
    return BigInt(whole) * 1_000_000n + BigInt(Math.round((ms - whole) * 1e6));
  }
  const instant = (mtime as { epochNanoseconds?: unknown } | null)?.epochNanoseconds;
  if (typeof instant === "bigint") return instant;
  throw new MisuseError(
    `mtime must be a Date, milliseconds, nanoseconds as a bigint, or a Temporal.Instant, not ${
      nameOf(mtime)
    }`,
  );
}

function resolveHash(hash: Digest | ExpectedHash): WantedHash {
  if (typeof hash === "string" || hash instanceof Uint8Array) return wantedHash(hash);
  if (typeof hash !== "object" || hash === null) {
    throw new MisuseError(`hash must be a digest or { digest, algorithm }, not ${nameOf(hash)}`);
  }
  return wantedHash(hash.digest, hash.algorithm as HashAlgorithm | undefined);
}

/** The value, the first of `known` when it is left out, or a TypeError. */
function oneOf<T>(name: string, value: T | undefined, known: readonly [T, ...T[]]): T {
  if (value === undefined) return known[0];
  if (known.includes(value)) return value;
  const list = known.map((one) => JSON.stringify(one)).join(", ");
  throw new MisuseError(
    `${name} must be one of ${list}, not ${JSON.stringify(value) ?? String(value)}`,
  );
}

/** What callers may ask of a lock, resolved once. */

import { requireSignal, throwIfAborted } from "../base/abort.ts";
import { chooseAdapter } from "../base/default_adapter.ts";
import { MisuseError, UnsupportedError } from "../base/errors.ts";
import type { FsAdapter } from "../base/fs_adapter.ts";
import { nameOf } from "../base/paths.ts";

/**
 * How to lock when nobody waits.
 *
 * @example Say who you are
 * ```ts
 * import { type TryLockOptions } from "@crashsafe/fs";
 *
 * const options: TryLockOptions = { holder: "nightly backup" };
 * console.log(options.holder);
 * ```
 */
export interface TryLockOptions {
  /** Hold it together with others who hold it shared. @default false */
  readonly shared?: boolean;
  /**
   * A line that says who holds it, written into the lock file once it is held exclusively, for the message that others get. For people:
   * anybody can write anything there. Up to 200 characters without a line break. @default nothing is written
   */
  readonly holder?: string;
  /** The file system. @default the runtime's own */
  readonly adapter?: FsAdapter;
}

/**
 * How to lock.
 *
 * @example Wait for a while, or until an abort
 * ```ts
 * import { type LockOptions } from "@crashsafe/fs";
 *
 * const options: LockOptions = { timeoutMs: 5000, signal: AbortSignal.timeout(60_000) };
 * console.log(options.timeoutMs);
 * ```
 */
export interface LockOptions extends TryLockOptions {
  /** How long to wait at most, in milliseconds; 0 tries once. @default forever */
  readonly timeoutMs?: number;
  /** Ends the waiting with its own reason. In a synchronous call it is looked at only at the beginning. */
  readonly signal?: AbortSignal;
}

/** Options with nothing left open. */
export interface ResolvedLockOptions {
  readonly adapter: FsAdapter;
  readonly shared: boolean;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  readonly holder: string | undefined;
}

export function resolveLockOptions(options: LockOptions, path: string): ResolvedLockOptions {
  const { shared = false, timeoutMs = Infinity, signal, holder } = options;
  const adapter = chooseAdapter(options.adapter);
  if (typeof shared !== "boolean") {
    throw new MisuseError(`shared must be a boolean, not ${nameOf(shared)}`);
  }
  if (typeof timeoutMs !== "number" || !(timeoutMs >= 0)) {
    throw new MisuseError(`timeoutMs must be a number of at least 0, not ${String(timeoutMs)}`);
  }
  requireSignal(signal);
  requireHolder(holder);
  throwIfAborted(signal);
  requireLocks(adapter, path);
  return Object.freeze({ adapter, shared, timeoutMs, signal, holder });
}

function requireHolder(holder: string | undefined): void {
  if (holder === undefined) return;
  if (typeof holder !== "string" || holder.length > MOST_HOLDER || /[\r\n\0]/.test(holder)) {
    throw new MisuseError(`holder must be one line of at most ${MOST_HOLDER} characters`);
  }
}

/** Never another kind of lock in its place: two kinds do not see each other. */
function requireLocks({ name, capabilities }: FsAdapter, path: string): void {
  if (capabilities.flock !== "none") return;
  throw new UnsupportedError(
    "flock",
    `Cannot lock "${path}": ${name} has no flock(2) here; ${
      HINTS[name] ?? "its adapter brings none"
    }`,
    { operation: "flock", path },
  );
}

const HINTS: Readonly<Record<string, string>> = {
  node:
    "use Node 26 (with --allow-ffi if --permission is on), or `npm install koffi`, or put the program flock(1) of util-linux on the PATH",
  bun: "its bun:ffi could not open the C library",
};

export const MOST_HOLDER = 200;

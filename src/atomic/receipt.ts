/** What a write achieved. */

import type { TimePrecision } from "../base/fs_adapter.ts";
import type { Durability } from "./options.ts";

/**
 * Something that the replaced file had and the new one has not. Extended attributes and ACLs are lost as
 * well, but cannot be seen from here.
 *
 * @example Tell what could not be kept
 * ```ts
 * import { atomicWriteSync, type Loss } from "@crashsafe/fs";
 * import { MemoryFs } from "@crashsafe/fs/testing";
 *
 * const lost: readonly Loss[] = atomicWriteSync("/a", "x", { adapter: new MemoryFs() }).lost;
 * console.log(lost); // []
 * ```
 */
export type Loss = "hard-links" | "owner" | "group" | "setuid-setgid";

/**
 * What a write achieved, which may be less than what was asked for.
 *
 * @example What was reached
 * ```ts
 * import { atomicWriteSync, type Receipt } from "@crashsafe/fs";
 * import { MemoryFs } from "@crashsafe/fs/testing";
 *
 * const { path, bytes, durability }: Receipt = atomicWriteSync("/a", "x", { adapter: new MemoryFs() });
 * console.log(path, bytes, durability); // /a 1 full
 * ```
 */
export interface Receipt {
  /** The file that was published: absolute, behind a followed symbolic link. */
  readonly path: string;
  /** Its size. */
  readonly bytes: number;
  /** Its verified digest in lower-case hexadecimal, when one was asked for. */
  readonly hash?: string;
  /** Its modification time in nanoseconds since 1970, when one was asked for. */
  readonly mtimeNs?: bigint;
  /** How exactly {@linkcode mtimeNs} is the time asked for. */
  readonly mtimePrecision?: TimePrecision;
  /** Its permission bits. */
  readonly mode: number;
  /** Who owns it. */
  readonly owner: { readonly uid: number; readonly gid: number };
  /** What survives what: `"file"` where `"full"` was asked and directories cannot be fsynced. */
  readonly durability: Durability;
  /** What the replaced file had and this one has not. Empty for a new file. */
  readonly lost: readonly Loss[];
  /** A second name of the file, left by `existing: "fail"` because it could not be removed. */
  readonly leftover?: string;
  /** A later write of the same path took this one's place (`coalesce`); the receipt is that write's. */
  readonly coalesced?: true;
  /** A synchronous write to the same path overtook this one; the receipt is that write's. */
  readonly superseded?: true;
}

import { CrashSafeError, type ErrorDetails } from "../base/errors.ts";
import type { Receipt } from "./receipt.ts";

/**
 * Of several files only some were published, each of them whole.
 *
 * @example Tell the two parts apart
 * ```ts
 * import { atomicWriteAllSync, GroupPublishError } from "@crashsafe/fs";
 * import { FaultFs, MemoryFs } from "@crashsafe/fs/testing";
 *
 * const adapter = new FaultFs(new MemoryFs(), [{ kinds: ["rename"], nth: 2, errno: "EIO" }]);
 * try {
 *   atomicWriteAllSync([{ path: "/a", data: "1" }, { path: "/b", data: "2" }], { adapter });
 * } catch (error) {
 *   if (!(error instanceof GroupPublishError)) throw error;
 *   console.log(error.published.map(({ path }) => path), error.unpublished); // [ "/a" ] [ "/b" ]
 * }
 * ```
 */
export class GroupPublishError extends CrashSafeError {
  /** The class, for logs. */
  override readonly name: string = "GroupPublishError";
  /** Those that are in place, with what was achieved: the others' durability is unknown if their directory could not be synced. */
  readonly published: readonly Receipt[];
  /** The targets that are as they were, as far as the entries had been read. */
  readonly unpublished: readonly string[];
  /** The target whose commit failed in such a way that nobody can tell whether it is in place. */
  readonly unknown: readonly string[];

  /** Made by this package; exported for `instanceof`. */
  constructor(
    message: string,
    details: ErrorDetails,
    published: readonly Receipt[],
    unpublished: readonly string[],
    unknown: readonly string[],
  ) {
    super(message, details);
    this.published = published;
    this.unpublished = unpublished;
    this.unknown = unknown;
  }
}

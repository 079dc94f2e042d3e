import { CrashSafeError, type ErrorDetails } from "../base/errors.ts";
import type { Receipt } from "./receipt.ts";

/** Of several files only some were published, each of them whole. */
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

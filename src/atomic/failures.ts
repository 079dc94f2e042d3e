/** The errors of a publish, in words: what was tried, on which path, what is true now. */

import { basename, dirname } from "node:path";
import {
  CrashSafeError,
  DurabilityUnknownError,
  explainCode,
  HashMismatchError,
  MisuseError,
  PublishError,
  UnsupportedError,
} from "../base/errors.ts";
import { tempClassOf } from "../scratch/temp_names.ts";
import { isAbort } from "../base/abort.ts";
import { Overtaken } from "./write_queue.ts";

/** What a failure before the commit point becomes. What must not be wrapped comes back as it is. */
export function notPublished(
  target: string,
  cause: unknown,
  signal: AbortSignal | undefined,
  leftover?: string,
): unknown {
  if (
    isAbort(signal, cause) || cause instanceof Overtaken || cause instanceof MisuseError ||
    cause instanceof HashMismatchError || cause instanceof UnsupportedError ||
    cause instanceof DurabilityUnknownError || cause instanceof PublishError
  ) return cause;
  const still = leftover === undefined
    ? ""
    : `; the temporary file "${leftover}" could not be removed and is still there`;
  if (cause instanceof CrashSafeError) {
    const { code, operation, dest } = cause;
    return new PublishError(
      `Cannot publish "${target}": ${describe(cause, target)}, nothing was published${still}`,
      { code, operation, path: target, dest, leftover, cause: cause.cause ?? cause },
    );
  }
  const words = cause instanceof Error ? cause.message : String(cause);
  return new PublishError(
    `Cannot publish "${target}": the source failed (${words}), nothing was published${still}`,
    { code: "SourceFailed", operation: "read", path: target, leftover, cause },
  );
}

/** A failure after (or perhaps after) the commit point. */
export function durabilityUnknown(
  path: string,
  cause: unknown,
  committed: true | "unknown",
): DurabilityUnknownError {
  const known = cause instanceof CrashSafeError;
  const what = known ? describe(cause, path) : String(cause);
  const truth = committed === true
    ? "the new content is in place but may not survive a power cut"
    : "it cannot be told whether the old or the new content is in place";
  return new DurabilityUnknownError(
    `Cannot make "${path}" durable: ${what}, ${truth}`,
    {
      code: known ? cause.code : "Unknown",
      operation: known ? cause.operation : "rename",
      path,
      cause: known ? cause.cause : cause,
    },
    committed,
  );
}

/** Refusal of `requireDurability` by a file system that only tells when it is asked. */
export function cannotSyncDirectory(dir: string): UnsupportedError {
  return new UnsupportedError(
    "fsyncDir",
    `Cannot fsync the directory "${dir}": its file system does not support it and durability "full" was required, nothing was published`,
    { operation: "fsyncDir", path: dir },
  );
}

function describe(failure: CrashSafeError, target: string): string {
  const { code, operation, path } = failure;
  if (code === "EBUSY" && operation === "rename") {
    return `${
      explainCode(code)
    }; a single file mounted into a container cannot be replaced, mount its directory`;
  }
  if (code === "EXDEV" && (operation === "rename" || operation === "link")) {
    return dirname(path) === dirname(failure.dest ?? path)
      ? `${explainCode(code)} as its own directory, it may be a mount point`
      : `${explainCode(code)} as "${path}", same file system needed`;
  }
  if (operation === "check") return explainCode(code);
  if (operation === "open" && tempClassOf(basename(path)) !== undefined) {
    return `making a temporary file in "${dirname(path)}" failed with ${explainCode(code)}`;
  }
  const doing = DOING[operation] ?? operation;
  const where = path === target || path === "" ? "" : ` "${path}"`;
  return `${doing}${where} failed with ${explainCode(code)}`;
}

const DOING: Readonly<Record<string, string>> = {
  open: "opening",
  openDir: "opening the directory",
  read: "reading",
  write: "writing",
  close: "closing",
  fsync: "the fsync of",
  fsyncDir: "the fsync of the directory",
  fchmod: "setting the mode of",
  fchown: "setting the owner of",
  futimes: "setting the time of",
  lstat: "looking at it",
  stat: "looking at",
  fstat: "looking at",
  mkdir: "making the directory",
  rename: "renaming",
  link: "linking",
};

/** How to make a temporary file, as callers say it and as the core uses it. */

import { chooseAdapter } from "../base/default_adapter.ts";
import { MisuseError } from "../base/errors.ts";
import type { FsAdapter } from "../base/fs_adapter.ts";
import { absolutePath, nameOf, pathKey } from "../base/paths.ts";
import { type CreateDirRetries, requireRetries } from "./create_dir.ts";
import { requireBelow } from "./remove_dir.ts";

/**
 * How to make a temporary file.
 *
 * @example With the directories, and without them afterwards
 * ```ts
 * import { type TempFileOptions } from "@crashsafe/fs";
 *
 * const options: TempFileOptions = { containingDirectory: "create", autoRemove: { emptyParentsUntil: "." } };
 * console.log(options.containingDirectory);
 * ```
 */
export interface TempFileOptions {
  /**
   * What to do about the directory of the file: it must exist; or it is made with all above it, against others who remove empty
   * directories at the same time, with the usual or with given retries.
   * @default "exists"
   */
  readonly containingDirectory?: "exists" | "create" | { readonly retries: CreateDirRetries };
  /**
   * What goes with the file when it is not persisted: the file alone, or also the directories above it that are empty then, below
   * the one named, which must contain the file.
   * @default "tempfile"
   */
  readonly autoRemove?: "tempfile" | { readonly emptyParentsUntil: string | URL };
  /** Permission bits before the umask. @default 0o600 */
  readonly mode?: number;
  /** The file system. @default the runtime's own */
  readonly adapter?: FsAdapter;
}

/** Options with nothing left open. */
export interface ResolvedTempOptions {
  readonly adapter: FsAdapter;
  /** Undefined: the directory must exist. */
  readonly retries: CreateDirRetries | undefined;
  readonly boundary: string | undefined;
  readonly mode: number;
}

/** Checks and completes options for a file at `path`, or for one whose path is `path` and a name. */
export function resolveTempOptions(
  options: TempFileOptions,
  path: string,
): ResolvedTempOptions {
  const { containingDirectory = "exists", autoRemove = "tempfile", mode = 0o600 } = options;
  const adapter = chooseAdapter(options.adapter);
  if (!(Number.isInteger(mode) && mode >= 0 && mode <= 0o7777)) {
    throw new MisuseError(`mode must be permission bits up to 0o7777, not ${String(mode)}`);
  }
  let boundary: string | undefined;
  if (autoRemove !== "tempfile") {
    const until = (autoRemove as { emptyParentsUntil?: string | URL } | null)?.emptyParentsUntil;
    if (until === undefined) {
      throw new MisuseError(
        `autoRemove must be "tempfile" or { emptyParentsUntil }, not ${nameOf(autoRemove)}`,
      );
    }
    boundary = absolutePath(until, adapter);
    requireBelow(path, boundary);
    boundary = pathKey(boundary);
  }
  return { adapter, retries: resolveContaining(containingDirectory), boundary, mode };
}

function resolveContaining(
  containing: NonNullable<TempFileOptions["containingDirectory"]>,
): CreateDirRetries | undefined {
  if (containing === "exists") return undefined;
  if (containing === "create") return requireRetries({});
  if (typeof containing === "object" && containing !== null) {
    return requireRetries(containing.retries ?? {});
  }
  throw new MisuseError(
    `containingDirectory must be "exists", "create" or { retries }, not ${String(containing)}`,
  );
}

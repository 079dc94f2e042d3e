/**
 * Making a temporary file: under a name that nobody can guess, or under one that the caller chose. Both are registered before the open
 * is issued, made exclusively and never through a symbolic link; a directory that removers take away is made again.
 */

import { dirname } from "node:path";
import { CrashSafeError, explainCode } from "../base/errors.ts";
import type { FileStat } from "../base/fs_adapter.ts";
import type { TempEntry } from "../base/process_state.ts";
import { failedWith, type OpenFile, type StepFs } from "../base/step_fs.ts";
import type { Steps } from "../base/steps.ts";
import { createSibling, discardSibling, type TempSibling } from "../atomic/temp_sibling.ts";
import { forgetTemp, identifyTemp, registerTemp, removeEmptyParents } from "../scratch/registry.ts";
import { createDir } from "./create_dir.ts";
import type { ResolvedTempOptions } from "./temp_options.ts";

/** Makes a file in `dir` whose name begins with a dot and `prefix`. It is locked where that is quick. */
export function* createRandom(
  fs: StepFs,
  dir: string,
  prefix: string,
  o: ResolvedTempOptions,
): Steps<TempSibling> {
  const { retries, boundary, mode } = o;
  const near = dir.endsWith("/") ? dir + prefix : `${dir}/${prefix}`;
  try {
    return yield* createSibling(fs, near, {
      mode,
      boundary,
      inUse: true,
      access: "read-write",
      makeParents: retries && ((steps, parent) => createDir(steps, parent, retries)),
    });
  } catch (cause) {
    throw yield* notCreated(fs, near, o, cause);
  }
}

/** Makes exactly the file `path`. */
export function* createAt(
  fs: StepFs,
  path: string,
  o: ResolvedTempOptions,
): Steps<TempSibling> {
  const { retries, boundary, mode } = o;
  for (let attempt = 1;; attempt++) {
    const entry = registerTemp(fs, path, { boundary, inUse: true });
    try {
      const file = yield* fs.open(path, {
        access: "read-write",
        create: "exclusive",
        noFollow: true,
        mode,
      });
      const made = yield* identified(fs, { ...file, entry });
      return { ...file, made, entry };
    } catch (cause) {
      forgetTemp(fs, entry);
      const again = retries !== undefined && failedWith(cause, "ENOENT") && attempt < MOST_ATTEMPTS;
      if (!again) throw yield* notCreated(fs, path, o, cause);
    }
    try {
      yield* createDir(fs, dirname(path), retries);
    } catch (cause) {
      throw yield* notCreated(fs, path, o, cause);
    }
  }
}

/** Looks which inode it is; a file that we know nothing of goes again. */
function* identified(
  fs: StepFs,
  file: OpenFile & { readonly entry: TempEntry },
): Steps<FileStat> {
  try {
    const made = yield* fs.fstat(file);
    identifyTemp(fs, file.entry, made);
    return made;
  } catch (cause) {
    yield* discardSibling(fs, file);
    throw cause;
  }
}

/** How often the directory may vanish between its making and the open. */
const MOST_ATTEMPTS = 16;

/** What was made on the way goes again. */
function* notCreated(
  fs: StepFs,
  path: string,
  { boundary }: ResolvedTempOptions,
  cause: unknown,
): Steps<unknown> {
  if (boundary !== undefined) yield* removeEmptyParents(fs, path, boundary);
  if (!(cause instanceof CrashSafeError)) return cause;
  const { code, operation } = cause;
  return new CrashSafeError(
    `Cannot create the temporary file "${path}": ${
      operation === "open" ? explainCode(code) : cause.message
    }, nothing was made`,
    { code, operation, path, cause: cause.cause ?? cause },
  );
}

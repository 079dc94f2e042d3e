/** What stands at the target before a write, and where the new file has to go. */

import type { FileStat } from "../base/fs_adapter.ts";
import { CrashSafeError, explainCode } from "../base/errors.ts";
import { isDirectory, isRegular, isSymlink } from "../base/file_types.ts";
import { linkDestination } from "../base/paths.ts";
import type { StepFs } from "../base/step_fs.ts";
import type { Steps } from "../base/steps.ts";
import type { ResolvedOptions } from "./options.ts";

/** The place of the new file. */
export interface Destination {
  /** The name to publish under: behind every symbolic link that is to be followed. */
  readonly path: string;
  /** The regular file that will be replaced. */
  readonly old: FileStat | undefined;
}

/**
 * Looks at the target, following symbolic links by hand: a dangling one leads to a file that is to be made,
 * and the temporary file belongs into the directory of the last name, not of the first. Has no effect.
 */
export function* findDestination(
  fs: StepFs,
  target: string,
  o: ResolvedOptions,
): Steps<Destination> {
  let path = target;
  for (let links = 0; links <= MOST_LINKS; links++) {
    const stat = yield* fs.lstat(path);
    if (stat === undefined) return { path, old: undefined };
    if (isSymlink(stat) && o.symlink === "follow") {
      path = linkDestination(path, yield* fs.readlink(path));
      if (/(?:^|\/)\.{0,2}$/.test(path)) throw refused("EISDIR", path);
      continue;
    }
    if (isSymlink(stat) && o.symlink === "refuse") throw refused("ELOOP", path);
    if (o.existing === "fail") throw refused("EEXIST", path);
    if (isSymlink(stat)) return { path, old: undefined };
    if (isDirectory(stat)) throw refused("EISDIR", path);
    if (!isRegular(stat)) throw refused("NotRegular", path);
    return { path, old: stat };
  }
  throw refused("ELOOP", target);
}

/** As the kernel: more than 40 symbolic links in a row are a loop (path_resolution(7)). */
const MOST_LINKS = 40;

/** The error for a target that cannot be written to, before anything was touched. */
export function refused(code: string, path: string): CrashSafeError {
  return new CrashSafeError(`Cannot write to "${path}": ${explainCode(code)}`, {
    code,
    operation: "check",
    path,
  });
}

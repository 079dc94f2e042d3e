import { chooseAdapter } from "../base/default_adapter.ts";
import type { FsAdapter } from "../base/fs_adapter.ts";
import { StepFs } from "../base/step_fs.ts";
import { cleanUp } from "./registry.ts";

/**
 * Removes the temporary files of this realm that nobody is using at this moment, and the directories above them that were to go with them.
 * Their handles answer `ENOENT` from then on. Files that a publish is filling are in use.
 *
 * @param options The file system whose process is meant.
 * @returns The paths removed.
 *
 * @example Remove them before the end
 * ```ts
 * import { cleanupTempFiles, createTempFileSync } from "@crashsafe/fs";
 * import { mkdtempSync, rmdirSync } from "node:fs";
 *
 * const dir = mkdtempSync("example-");
 * createTempFileSync(dir);
 * console.log(cleanupTempFiles().length); // 1
 * rmdirSync(dir);
 * ```
 */
export function cleanupTempFiles(
  options: { readonly adapter?: FsAdapter } = {},
): readonly string[] {
  return cleanUp(new StepFs(chooseAdapter(options.adapter), "sync").state, "idle");
}

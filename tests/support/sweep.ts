import type { FsAdapter } from "@crashsafe/fs";

/** The names that AtomicFile's temporary files have. */
export const TEMP_NAME = /^\..*\.[a-z2-7]{26}\.cs1([lu])$/;

/** The least that a recovery does: removes the temporary files of a directory when nobody else is alive. */
export async function sweepTemps({ async: ops }: FsAdapter, dir: string): Promise<void> {
  for (const { name, kind } of await ops.readdir(dir)) {
    if (kind === "directory") await sweepTemps({ async: ops } as FsAdapter, `${dir}/${name}`);
    else if (TEMP_NAME.test(name)) await ops.unlink(`${dir}/${name}`);
  }
}

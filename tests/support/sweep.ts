import type { FsAdapter, FsHandle } from "@crashsafe/fs";

/** The names that AtomicFile's temporary files have. */
export const TEMP_NAME = /^\..*\.[a-z2-7]{26}\.cs1([lu])$/;

/** The least that a recovery does: removes the temporary files of a directory when nobody else is alive. */
export async function sweepTemps({ async: ops }: FsAdapter, dir: string): Promise<void> {
  for (const { name, kind } of await ops.readdir(dir)) {
    if (kind === "directory") await sweepTemps({ async: ops } as FsAdapter, `${dir}/${name}`);
    else if (TEMP_NAME.test(name)) await ops.unlink(`${dir}/${name}`);
  }
}

/** A sweep beside the living: removes the files that nobody has locked, after a look whether it has the right one. */
export async function sweepDead({ async: ops }: FsAdapter, dir: string): Promise<void> {
  for (const { name } of await ops.readdir(dir)) {
    if (TEMP_NAME.exec(name)?.[1] !== "l") continue;
    const path = `${dir === "/" ? "" : dir}/${name}`;
    let file: FsHandle;
    try {
      file = await ops.open(path, { access: "read-write", noFollow: true, lockable: true });
    } catch {
      // Its writer has published or removed it.
      continue;
    }
    if (await ops.flock(file, "exclusive")) {
      const ours = await ops.fstat(file);
      if (ours.nlink > 0 && ours.ino === (await ops.lstat(path))?.ino) {
        // A writer that was refused the lock removes its file itself.
        await Promise.resolve(ops.unlink(path)).catch(() => {});
      }
    }
    await ops.close(file);
  }
}

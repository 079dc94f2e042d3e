// Where the jobs run: the disk's file system and tmpfs.
//
// ext4 slows a block group that saw thousands of creates and deletes within seconds: it steps around inodes that were freed
// recently. So there is one parent whose children the allocator spreads over the groups (chattr +T), each
// job has a fresh directory right below it, and on a disk nothing is deleted before the end.

import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Answers [{ name, parent, fileSystem, fresh(), done(dir) }], gone when the process ends. */
export function openDisks() {
  const disks = [openDisk("disk", tmpdir())];
  if (existsSync("/dev/shm")) disks.push(openDisk("tmpfs", "/dev/shm"));
  process.on("exit", () => {
    for (const { parent } of disks) rmSync(parent, { recursive: true, force: true, maxRetries: 5 });
  });
  return disks;
}

function openDisk(name, place) {
  const parent = mkdtempSync(join(place, "crashsafe-bench-"));
  // Only ext4 knows the attribute; elsewhere there is nothing to spread.
  spawnSync("chattr", ["+T", parent], { stdio: "ignore" });
  return {
    name,
    parent,
    fileSystem: fileSystemOf(parent),
    fresh: () => mkdtempSync(join(parent, "job-")),
    done(dir) {
      // Its files are memory.
      if (name === "tmpfs") rmSync(dir, { recursive: true });
    },
  };
}

/** The type of the file system with the longest mount point above the path. */
function fileSystemOf(path) {
  if (!existsSync("/proc/self/mounts")) return "unknown";
  let best = ["", "unknown"];
  for (const line of readFileSync("/proc/self/mounts", "utf8").trim().split("\n")) {
    const [, mountPoint, type] = line.split(" ");
    const above = mountPoint === "/" ? "/" : `${mountPoint}/`;
    if (path.startsWith(above) && above.length >= best[0].length) best = [above, type];
  }
  return best[1];
}

/** File systems on loop devices, and the end of their power. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { closeSync, mkdirSync, openSync, rmSync, truncateSync, writeFileSync } from "node:fs";

/** A file system to make. */
export interface Disk {
  readonly fs: "ext4" | "xfs";
  /** Options of mount(8). */
  readonly mount: string;
  /** The size in MiB. XFS wants 300. @default 400 */
  readonly size?: number;
}

/** One that is mounted. */
export interface Mounted {
  /** Where. */
  readonly path: string;
  /** umount(8). */
  unmount(): void;
  /** mount(8) again: the journal is replayed. */
  mount(): void;
}

/** Makes a file system in a file of `dir`, and mounts it for the time of `use`. */
export async function withDisk(
  { fs, mount, size = 400 }: Disk,
  dir: string,
  use: (mounted: Mounted) => Promise<void>,
): Promise<void> {
  const [image, path] = [`${dir}/${fs}.image`, `${dir}/${fs}`];
  writeFileSync(image, "");
  truncateSync(image, size * 2 ** 20);
  must(`mkfs.${fs}`, fs === "ext4" ? ["-q", "-F", image] : ["-q", "-f", image]);
  mkdirSync(path);
  const mounted: Mounted = {
    path,
    unmount: () => must("umount", [path]),
    mount: () => must("mount", ["-o", `loop,${mount}`, image, path]),
  };
  mounted.mount();
  try {
    await use(mounted);
  } finally {
    if (spawnSync("umount", [path]).status !== 0) spawnSync("umount", ["-l", path]);
    rmSync(image);
  }
}

/**
 * The shutdown ioctl (EXT4_IOC_SHUTDOWN, XFS_IOC_GOINGDOWN) without a flush of the log: nothing more reaches the device, whatever is in memory. It takes
 * microseconds, so what was read before it had been acknowledged before it.
 */
export async function powerCutter(): Promise<(mountPoint: string) => void> {
  const { dlopen } = await import("bun:ffi" as string);
  const { symbols } = dlopen("libc.so.6", {
    ioctl: { args: ["int", "u64", "ptr"], returns: "int" },
  });
  return (mountPoint) => {
    const fd = openSync(mountPoint, "r");
    try {
      assert.equal(symbols.ioctl(fd, SHUTDOWN, NO_LOG_FLUSH), 0, "the shutdown ioctl");
    } finally {
      closeSync(fd);
    }
  };
}

/** `_IOR('X', 125, __u32)`. */
const SHUTDOWN = 0x8004587d;
/** EXT4_GOING_FLAGS_NOLOGFLUSH, XFS_FSOP_GOING_FLAGS_NOLOGFLUSH. */
const NO_LOG_FLUSH = new Uint32Array([2]);

function must(command: string, args: readonly string[]): void {
  const { status, stderr } = spawnSync(command, [...args], { encoding: "utf8" });
  assert.equal(status, 0, `${command} ${args.join(" ")}: ${stderr}`);
}

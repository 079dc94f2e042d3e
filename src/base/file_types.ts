/** The file type bits of `st_mode` (inode(7)). */

import type { FileStat } from "./fs_adapter.ts";

export function isRegular(stat: FileStat): boolean {
  return (stat.mode & TYPE_BITS) === 0o100000;
}

export function isDirectory(stat: FileStat): boolean {
  return (stat.mode & TYPE_BITS) === 0o040000;
}

export function isSymlink(stat: FileStat): boolean {
  return (stat.mode & TYPE_BITS) === 0o120000;
}

/** Whether two looks saw the same inode. */
export function sameInode(one: FileStat, other: FileStat): boolean {
  return one.dev === other.dev && one.ino === other.ino;
}

/** The permission bits, with setuid, setgid and sticky. */
export function permissions(stat: FileStat): number {
  return stat.mode & 0o7777;
}

const TYPE_BITS = 0o170000;

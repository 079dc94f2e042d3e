/**
 * Which trees a power cut may leave: for every cell a version between its floor and its last, as far as the profile allows.
 * Names are chosen first; of the inodes that no chosen name reaches nothing needs choosing.
 */

import type { CrashImage, ImageFile } from "./crash_image.ts";
import { type Cell, type Disk, type Inode, ROOT_INO } from "./disk.ts";

/**
 * What a disk may reorder, lose or tear.
 *
 * - `"posix"` (P0): all cells are independent; renames are atomic; an unsynced page may be torn; what never arrived reads as
 *   zeros. The gate: whoever holds here relies on no file system's kindness.
 * - `"ordered"` (P1; ext4, XFS, F2FS): changes of names reach the disk in their order, and fsync of any file brings all earlier
 *   ones along. Data, sizes and metadata are still independent.
 * - `"auto-da-alloc"` (P2; ext4's default): as ordered, and a rename over an existing name brings the source's data with it.
 * - `"split-rename"` (P3; FAT, some network file systems): as posix, but after a rename both names or neither may be there.
 * - `"writeback"` (P4; ext4 data=writeback): as posix, but what never arrived reads as garbage.
 * - `"block-reuse"` (ext4 data=writeback as well): as posix, but a file that has neither names nor descriptors any more has lost its content, also if the
 *   power cut brings a name of it back.
 * - `"no-flush"` (P5; macOS without F_FULLFSYNC, drives that lie): as posix, but no fsync reaches the medium.
 * - `"no-dir-fsync"` (P6; Windows, some FUSE): as posix, but the fsync of a directory does nothing.
 *
 * @example A disk that lies
 * ```ts
 * import { type CrashProfile } from "@crashsafe/fs/testing";
 *
 * const profile: CrashProfile = "no-flush";
 * console.log(profile);
 * ```
 */
export type CrashProfile =
  | "posix"
  | "ordered"
  | "auto-da-alloc"
  | "split-rename"
  | "writeback"
  | "block-reuse"
  | "no-flush"
  | "no-dir-fsync";

/**
 * The profiles in which a correct program loses nothing.
 *
 * @example Nothing that was promised is lost
 * ```ts
 * import { atomicWriteSync } from "@crashsafe/fs";
 * import { GATE_PROFILES, MemoryFs } from "@crashsafe/fs/testing";
 *
 * const disk = new MemoryFs();
 * atomicWriteSync("/file", "data", { adapter: disk });
 * for (const profile of GATE_PROFILES) console.log([...disk.images(profile)].length); // 1
 * ```
 */
export const GATE_PROFILES: readonly CrashProfile[] = [
  "posix",
  "ordered",
  "auto-da-alloc",
  "writeback",
];

/**
 * All profiles.
 *
 * @example What each may leave
 * ```ts
 * import { atomicWriteSync } from "@crashsafe/fs";
 * import { ALL_PROFILES, MemoryFs } from "@crashsafe/fs/testing";
 *
 * const disk = new MemoryFs();
 * atomicWriteSync("/file", "data", { adapter: disk, durability: "none" });
 * for (const profile of ALL_PROFILES) console.log(profile, [...disk.images(profile)].length);
 * ```
 */
export const ALL_PROFILES: readonly CrashProfile[] = [
  ...GATE_PROFILES,
  "split-rename",
  "block-reuse",
  "no-flush",
  "no-dir-fsync",
];

/** For cells with a choice the version chosen; `n + 0.5`: a page torn between n and n + 1. Cells left out have their last. */
export type Choice = ReadonlyMap<Cell<unknown>, number>;

/** Every choice that the profile allows. */
export function* choices(disk: Disk, profile: CrashProfile): Generator<Choice> {
  const floors = floorOf(profile);
  const names = [...disk.cells()].filter((cell) => cell.kind === "name" && hasChoice(cell, floors));
  const ordered = profile === "ordered" || profile === "auto-da-alloc";
  for (
    const named of ordered ? prefixes(disk, names) : product(names, (cell) => range(cell, floors))
  ) {
    if (!ordered && profile !== "split-rename" && !groupsWhole(names, named)) continue;
    const atLeast = profile === "auto-da-alloc" ? broughtAlong(disk, names, named) : new Map();
    const rest: Cell<unknown>[] = [];
    for (const inode of reachable(disk, named)) {
      const cells = [inode.metadata, inode.size, ...inode.pages] as (Cell<unknown> | undefined)[];
      for (const cell of cells) {
        if (cell !== undefined && hasChoice(cell, floors)) rest.push(cell);
      }
    }
    for (const chosen of product(rest, (cell) => range(cell, floors, atLeast.get(cell)))) {
      yield new Map([...named, ...chosen]);
    }
  }
}

/** The tree that a choice leaves. */
export function imageOf(disk: Disk, choice: Choice, profile?: CrashProfile): CrashImage {
  const image = new Map<string, ImageFile>();
  const never = profile === "writeback" ? GARBAGE : "\0";
  const walk = (directory: Inode, path: string): void => {
    for (const [name, cell] of directory.names) {
      const ino = chosenValue(cell, choice);
      const inode = ino === undefined ? undefined : disk.inodes.get(ino);
      if (inode === undefined) continue;
      const below = `${path}/${name}`;
      const { mode, uid, gid, mtimeNs } = chosenValue(inode.metadata, choice);
      const reused = inode.freed && profile === "block-reuse";
      const content = reused
        ? GARBAGE.repeat(chosenValue(inode.size, choice))
        : inode.kind === "file"
        ? contentOf(disk, inode, choice, never)
        : inode.target;
      image.set(inode.kind === "directory" ? `${below}/` : below, {
        content,
        mode,
        uid,
        gid,
        mtimeNs,
        ino: inode.ino,
        symlink: inode.kind === "symlink",
      });
      if (inode.kind === "directory") walk(inode, below);
    }
  };
  walk(disk.inodes.get(ROOT_INO) as Inode, "");
  return image;
}

/** A choice in words: what of the latest changes is missing. */
export function describeChoice(choice: Choice): readonly string[] {
  const lines: string[] = [];
  for (const [cell, index] of choice) {
    const last = cell.versions.length - 1;
    if (index === last) continue;
    if (!Number.isInteger(index)) lines.push(`${cell.label} is torn`);
    else if (cell.kind === "name") {
      const shown = cell.version(index).value;
      lines.push(
        `${cell.label} is ${shown === undefined ? "missing" : `still that of inode ${shown}`}`,
      );
    } else {
      lines.push(`${cell.label} is ${index === 0 ? "as at first" : `version ${index} of ${last}`}`);
    }
  }
  return lines.length === 0 ? ["every change reached the disk"] : lines;
}

/** What a page that never arrived, or is another file's by now, shows under data=writeback. */
const GARBAGE = "\xdb";

type Floor = (cell: Cell<unknown>) => number;

function floorOf(profile: CrashProfile): Floor {
  if (profile === "no-flush") return (cell) => cell.floorWithoutFlush;
  if (profile === "no-dir-fsync") return (cell) => cell.floorWithoutDirSync;
  return (cell) => cell.floor;
}

function hasChoice<T>(cell: Cell<T>, floor: Floor): boolean {
  return floor(cell as Cell<unknown>) < cell.versions.length - 1;
}

/** The versions of a cell that may be found; pages also torn. */
function range(cell: Cell<unknown>, floorOf: Floor, atLeast = 0): readonly number[] {
  const floor = floorOf(cell);
  const allowed: number[] = [];
  for (let index = floor; index < cell.versions.length; index++) {
    if (index > floor && cell.version(index).lost) continue;
    const before = allowed.at(-1);
    if (cell.kind === "page" && before === index - 1) allowed.push(before + 0.5);
    allowed.push(index);
  }
  const enough = allowed.filter((index) => index >= atLeast);
  return enough.length > 0 ? enough : allowed.slice(-1);
}

/** Every way to choose an allowed version of each cell. */
function* product(
  cells: readonly Cell<unknown>[],
  allowed: (cell: Cell<unknown>) => readonly number[],
  from = 0,
): Generator<Map<Cell<unknown>, number>> {
  const cell = cells[from];
  if (cell === undefined) {
    yield new Map();
    return;
  }
  const versions = allowed(cell);
  for (const rest of product(cells, allowed, from + 1)) {
    for (const index of versions) yield new Map([...rest, [cell, index]]);
  }
}

/** Both halves of a rename, or neither. */
function groupsWhole(names: readonly Cell<unknown>[], choice: Choice): boolean {
  const done = new Map<number, boolean>();
  for (const cell of names) {
    const index = choice.get(cell) ?? cell.versions.length - 1;
    for (const [place, { group }] of cell.versions.entries()) {
      if (group === undefined || place <= cell.floorWithoutFlush) continue;
      if ((done.get(group) ?? place <= index) !== (place <= index)) return false;
      done.set(group, place <= index);
    }
  }
  return true;
}

/** Names in their order: all up to a cut, none after it. What is durable of one drags the earlier changes of all along. */
function* prefixes(
  disk: Disk,
  names: readonly Cell<unknown>[],
): Generator<Map<Cell<unknown>, number>> {
  let least = disk.lastFsync;
  for (const cell of disk.cells()) {
    if (cell.kind === "name") least = Math.max(least, cell.version(cell.floor).at);
  }
  const cuts = new Set([least]);
  for (const cell of names) {
    for (const { at } of cell.versions) if (at > least) cuts.add(at);
  }
  for (const cut of cuts) {
    yield new Map(names.map((cell) => [cell, lastUpTo(cell, cut)]));
  }
}

function lastUpTo(cell: Cell<unknown>, at: number): number {
  return Math.max(cell.floor, cell.versions.findLastIndex((version) => version.at <= at));
}

/** For the data of files that a chosen rename put over another: the versions that came along. */
function broughtAlong(
  disk: Disk,
  names: readonly Cell<unknown>[],
  choice: Choice,
): Map<Cell<unknown>, number> {
  const least = new Map<Cell<unknown>, number>();
  for (const { at, ino } of disk.replacingRenames) {
    const done = names.every((cell) =>
      cell.versions.every((version, place) =>
        version.at !== at || place <= (choice.get(cell) ?? Infinity)
      )
    );
    const inode = disk.inodes.get(ino);
    if (!done || inode === undefined) continue;
    for (const cell of [inode.size, ...inode.pages] as (Cell<unknown> | undefined)[]) {
      if (cell !== undefined) least.set(cell, lastUpTo(cell, at));
    }
  }
  return least;
}

/** The inodes that a reboot finds with these names. */
function reachable(disk: Disk, choice: Choice): Set<Inode> {
  const found = new Set<Inode>();
  const walk = (inode: Inode): void => {
    for (const cell of inode.names.values()) {
      const ino = chosenValue(cell, choice);
      const below = ino === undefined ? undefined : disk.inodes.get(ino);
      if (below === undefined || found.has(below)) continue;
      found.add(below);
      walk(below);
    }
  };
  walk(disk.inodes.get(ROOT_INO) as Inode);
  return found;
}

function chosenIndex<T>(cell: Cell<T>, choice: Choice): number {
  return choice.get(cell as Cell<unknown>) ?? cell.versions.length - 1;
}

function chosenValue<T>(cell: Cell<T>, choice: Choice): T {
  return cell.version(chosenIndex(cell, choice)).value;
}

function contentOf({ pageBytes }: Disk, inode: Inode, choice: Choice, never: string): string {
  const size = chosenValue(inode.size, choice);
  let content = "";
  for (let page = 0; page * pageBytes < size; page++) {
    content += pageOf(inode.pages[page], choice, never, pageBytes);
  }
  return content.slice(0, size);
}

function pageOf(
  cell: Cell<string> | undefined,
  choice: Choice,
  never: string,
  pageBytes: number,
): string {
  // A hole is zeros on every disk.
  if (cell === undefined) return "\0".repeat(pageBytes);
  const version = (index: number): string =>
    cell.version(index).value.padEnd(pageBytes, cell.version(index).at === 0 ? never : "\0");
  const index = chosenIndex(cell, choice);
  if (Number.isInteger(index)) return version(index);
  // The first half of what the newer version has, the rest of the older one.
  const half = Math.ceil(cell.version(Math.ceil(index)).value.length / 2);
  return version(Math.ceil(index)).slice(0, half) + version(Math.floor(index)).slice(half);
}

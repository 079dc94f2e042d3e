/**
 * A file system in memory that knows what a power cut may leave of it.
 *
 * Everything that a disk stores on its own is a cell: a page of data, the size of a file, its metadata, a name in a directory. Each
 * change appends a version to a cell; fsync raises the cell's floor to its last version. After a power cut every cell has some
 * version between its floor and its last. A rename changes two cells in one group: both or neither.
 */

import { basename, dirname } from "node:path";
import type {
  Capabilities,
  DirEntry,
  FileStat,
  FsAdapter,
  FsHandle,
  FsOps,
  OpenOptions,
  SyncFsOps,
} from "../src/base/fs_adapter.ts";

/**
 * What a disk may reorder.
 *
 * - `"posix"`: all cells are independent. Nothing but fsync orders anything.
 * - `"ordered"`: changes of names reach the disk in their order, and fsync of any file brings all earlier ones along
 *   (ext4, XFS, F2FS); data and sizes are still independent of them.
 */
export type CrashProfile = "posix" | "ordered";

/** A tree as a reboot finds it: contents of files by path. Directories end in `/` and have no content. */
export type CrashImage = ReadonlyMap<string, ImageFile>;

/** A file after a reboot. */
export interface ImageFile {
  /** What reading it gives. */
  readonly content: string;
  /** Its permission bits. */
  readonly mode: number;
  /** Its modification time in nanoseconds. */
  readonly mtimeNs: bigint;
}

/** A changed value, with its place in the order of all changes. */
interface Version {
  readonly at: number;
  readonly value: unknown;
  /** Versions of one group reach the disk together. */
  readonly group: number | undefined;
}

/** What the disk stores on its own. */
interface Cell {
  readonly kind: "page" | "size" | "metadata" | "name";
  readonly key: string;
  readonly versions: Version[];
  /** The index of the oldest version that a power cut may bring back. */
  floor: number;
}

interface Metadata {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeNs: bigint;
}

interface Inode {
  readonly ino: number;
  readonly directory: boolean;
  readonly target: string | undefined;
  links: number;
}

interface MemoryHandle {
  readonly inode: Inode;
  readonly path: string;
  position: number;
  open: boolean;
}

const PAGE_BYTES = 4096;
const ROOT = 1;

/**
 * A file system in memory.
 *
 * @example See what a power cut may leave of a careless write
 * ```ts
 * import { MemoryFs } from "@crashsafe/fs/testing";
 *
 * const fs = new MemoryFs();
 * const file = fs.sync.open("/file", { access: "write", create: "exclusive" });
 * fs.sync.write(file, new TextEncoder().encode("data"));
 * fs.sync.close(file);
 * for (const image of fs.images("posix")) console.log([...image.keys()], image.get("/file")?.content);
 * ```
 */
export class MemoryFs implements FsAdapter {
  /** `"memory"`. */
  readonly name = "memory";
  /** The synchronous operations. */
  readonly sync: SyncFsOps;
  /** The same: everything answers at once. */
  readonly async: FsOps;
  /** What it can do; no locks. */
  readonly capabilities: Capabilities = {
    flock: "none",
    mtimePrecision: "ns",
    mtimeReadPrecision: "ns",
    fsync: true,
    fsyncDir: true,
    syncFs: true,
    clone: false,
    handleMetadata: true,
  };
  /** No errors pass by themselves here. */
  readonly transientRenameErrors: readonly string[] = [];
  /** A process of its own, in `/`. */
  readonly process: FsAdapter["process"] = {
    pid: 1,
    cwd: () => "/",
    fromFileUrl: (url) => decodeURIComponent(url.pathname),
  };
  /** Called after every operation, with its name: the moment for a power cut. */
  onOperation: ((operation: string) => void) | undefined;
  readonly #cells = new Map<string, Cell>();
  readonly #inodes = new Map<number, Inode>();
  #clock = 0;
  #nextInode = ROOT;
  /** The last fsync of a file: in the ordered profile it made all earlier names durable. */
  #lastFsync = 0;

  /** An empty root directory, durable. */
  constructor() {
    this.#newInode(true, 0o755);
    this.syncAll();
    this.sync = this.#operations();
    this.async = this.sync;
  }

  /** Errors of this file system carry their code. */
  classify(error: unknown): string | undefined {
    const code = (error as { code?: unknown } | undefined)?.code;
    return error instanceof Error && typeof code === "string" ? code : undefined;
  }

  /** Makes everything durable, as an orderly shutdown does. */
  syncAll(): void {
    for (const cell of this.#cells.values()) cell.floor = cell.versions.length - 1;
  }

  /**
   * Every distinct tree that a power cut at this moment may leave.
   *
   * @param profile What the disk may reorder.
   * @returns The trees. Their number grows with the changes that are not durable yet.
   */
  *images(profile: CrashProfile): Generator<CrashImage> {
    const seen = new Set<string>();
    for (const choice of this.#choices(profile)) {
      const image = this.#imageOf(choice);
      const text = describeImage(image);
      if (seen.has(text)) continue;
      seen.add(text);
      yield image;
    }
  }

  /** The tree as calls see it now: what a killed process leaves. */
  now(): CrashImage {
    return this.#imageOf(new Map());
  }

  /** For every cell the version chosen; a cell that is left out has its last. */
  *#choices(profile: CrashProfile): Generator<ReadonlyMap<Cell, number>> {
    const open = [...this.#cells.values()].filter((cell) => cell.floor < cell.versions.length - 1);
    if (profile === "posix") {
      for (const choice of product(open)) if (this.#groupsWhole(choice)) yield choice;
      return;
    }
    const names = open.filter((cell) => cell.kind === "name");
    const others = open.filter((cell) => cell.kind !== "name");
    const floor = Math.max(this.#lastFsync, ...this.#nameFloors());
    const cuts = names.flatMap((cell) => cell.versions.map((version) => version.at)).filter((at) =>
      at > floor
    );
    for (const cut of new Set([floor, ...cuts])) {
      const chosen = new Map(names.map((cell) => [cell, lastUpTo(cell, cut)]));
      for (const choice of product(others)) yield new Map([...choice, ...chosen]);
    }
  }

  /** The order of names is a prefix: what is durable of one drags the earlier changes of all along. */
  *#nameFloors(): Generator<number> {
    for (const cell of this.#cells.values()) {
      if (cell.kind === "name") yield cell.versions[cell.floor]?.at ?? 0;
    }
  }

  #groupsWhole(choice: ReadonlyMap<Cell, number>): boolean {
    const done = new Map<number, boolean>();
    for (const cell of this.#cells.values()) {
      if (cell.kind !== "name") continue;
      const index = choice.get(cell) ?? cell.versions.length - 1;
      for (const [place, { group }] of cell.versions.entries()) {
        if (group === undefined) continue;
        if ((done.get(group) ?? place <= index) !== (place <= index)) return false;
        done.set(group, place <= index);
      }
    }
    return true;
  }

  #imageOf(choice: ReadonlyMap<Cell, number>): CrashImage {
    const image = new Map<string, ImageFile>();
    const valueOf = (key: string): unknown => {
      const cell = this.#cells.get(key);
      return cell?.versions[choice.get(cell) ?? cell.versions.length - 1]?.value;
    };
    const walk = (directory: number, path: string): void => {
      for (const cell of this.#cells.values()) {
        if (!cell.key.startsWith(`name ${directory} `)) continue;
        const ino = valueOf(cell.key) as number | undefined;
        const inode = ino === undefined ? undefined : this.#inodes.get(ino);
        if (inode === undefined) continue;
        const { mode, mtimeNs } = valueOf(`metadata ${ino}`) as Metadata;
        const below = `${path}/${cell.key.split(" ").slice(2).join(" ")}`;
        if (inode.directory) {
          image.set(`${below}/`, { content: "", mode, mtimeNs });
          walk(inode.ino, below);
          continue;
        }
        const size = valueOf(`size ${ino}`) as number;
        let content = "";
        for (let page = 0; page * PAGE_BYTES < size; page++) {
          content += (valueOf(`page ${ino} ${page}`) as string | undefined ?? "").padEnd(
            PAGE_BYTES,
            "\0",
          );
        }
        image.set(below, { content: content.slice(0, size), mode, mtimeNs });
      }
    };
    walk(ROOT, "");
    return image;
  }

  #newInode(directory: boolean, mode: number, target?: string): Inode {
    const inode: Inode = { ino: this.#nextInode++, directory, target, links: directory ? 2 : 0 };
    this.#inodes.set(inode.ino, inode);
    this.#change("metadata", `metadata ${inode.ino}`, { mode, uid: 0, gid: 0, mtimeNs: 0n });
    if (!directory) this.#change("size", `size ${inode.ino}`, 0);
    return inode;
  }

  /** A cell that nobody has written reads as nothing; that is its first version. */
  #change(kind: Cell["kind"], key: string, value: unknown, group?: number): void {
    let cell = this.#cells.get(key);
    if (cell === undefined) {
      const first = kind === "metadata" || kind === "size" ? value : undefined;
      cell = { kind, key, versions: [{ at: 0, value: first, group: undefined }], floor: 0 };
      this.#cells.set(key, cell);
    }
    // Both halves of a rename have one place in the order.
    cell.versions.push({ at: group ?? ++this.#clock, value, group });
  }

  #last(key: string): unknown {
    return this.#cells.get(key)?.versions.at(-1)?.value;
  }

  #lookup(path: string): Inode | undefined {
    let inode = this.#inodes.get(ROOT);
    for (const part of path.split("/").filter((one) => one !== "" && one !== ".")) {
      if (inode === undefined) return undefined;
      if (!inode.directory) throw failure("ENOTDIR", path);
      inode = this.#inodes.get(this.#last(`name ${inode.ino} ${part}`) as number);
    }
    return inode;
  }

  #existing(path: string): Inode {
    const inode = this.#lookup(path);
    if (inode === undefined) throw failure("ENOENT", path);
    return inode;
  }

  /** The key of a name's cell; its directory must exist. */
  #nameKey(path: string): string {
    const directory = this.#existing(dirname(path));
    if (!directory.directory) throw failure("ENOTDIR", path);
    return `name ${directory.ino} ${basename(path)}`;
  }

  #names(directory: Inode): readonly string[] {
    const prefix = `name ${directory.ino} `;
    return [...this.#cells.values()]
      .filter((cell) => cell.key.startsWith(prefix) && cell.versions.at(-1)?.value !== undefined)
      .map((cell) => cell.key.slice(prefix.length));
  }

  #statOf(inode: Inode): FileStat {
    const { mode, uid, gid, mtimeNs } = this.#last(`metadata ${inode.ino}`) as Metadata;
    const type = inode.directory ? 0o040000 : 0o100000;
    const size = inode.directory ? 0 : this.#last(`size ${inode.ino}`) as number;
    return {
      dev: 1n,
      ino: BigInt(inode.ino),
      nlink: inode.links,
      mode: type | mode,
      uid,
      gid,
      size,
      mtimeNs,
    };
  }

  #setMetadata(inode: Inode, change: Partial<Metadata>): void {
    const before = this.#last(`metadata ${inode.ino}`) as Metadata;
    this.#change("metadata", `metadata ${inode.ino}`, { ...before, ...change });
  }

  #open(path: string, options: OpenOptions): MemoryHandle {
    let inode = this.#lookup(path);
    if (inode !== undefined && options.create === "exclusive") throw failure("EEXIST", path);
    if (inode === undefined) {
      if (options.create === undefined) throw failure("ENOENT", path);
      const key = this.#nameKey(path);
      inode = this.#newInode(false, (options.mode ?? 0o666) & ~0o022);
      inode.links = 1;
      this.#change("name", key, inode.ino);
    }
    if (inode.directory && options.access !== "read") throw failure("EISDIR", path);
    return { inode, path, position: 0, open: true };
  }

  #write(file: MemoryHandle, bytes: Uint8Array, position: number): number {
    const { ino } = file.inode;
    const text = Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
    for (let done = 0; done < text.length;) {
      const page = Math.floor((position + done) / PAGE_BYTES);
      const offset = (position + done) % PAGE_BYTES;
      const part = text.slice(done, done + PAGE_BYTES - offset);
      const before = (this.#last(`page ${ino} ${page}`) as string | undefined ?? "").padEnd(
        offset,
        "\0",
      );
      this.#change(
        "page",
        `page ${ino} ${page}`,
        before.slice(0, offset) + part + before.slice(offset + part.length),
      );
      done += part.length;
    }
    const end = position + text.length;
    if (end > (this.#last(`size ${ino}`) as number)) this.#change("size", `size ${ino}`, end);
    return bytes.byteLength;
  }

  #read(file: MemoryHandle, buffer: Uint8Array, position: number): number {
    const { ino } = file.inode;
    const size = this.#last(`size ${ino}`) as number;
    const count = Math.max(0, Math.min(buffer.byteLength, size - position));
    for (let index = 0; index < count; index++) {
      const at = position + index;
      const page = this.#last(`page ${ino} ${Math.floor(at / PAGE_BYTES)}`) as string | undefined;
      buffer[index] = page?.charCodeAt(at % PAGE_BYTES) || 0;
    }
    return count;
  }

  #raiseFloors(matches: (cell: Cell) => boolean): void {
    const groups = new Set<number | undefined>();
    for (const cell of this.#cells.values()) {
      if (!matches(cell)) continue;
      for (const { group } of cell.versions) groups.add(group);
      cell.floor = cell.versions.length - 1;
    }
    groups.delete(undefined);
    // The other half of a rename comes along.
    for (const cell of this.#cells.values()) {
      const place = cell.versions.findLastIndex((version) => groups.has(version.group));
      if (place > cell.floor) cell.floor = place;
    }
  }

  #operations(): SyncFsOps {
    const operations: SyncFsOps = {
      open: (path, options) => this.#open(path, options),
      openDir: (path) => {
        const inode = this.#existing(path);
        if (!inode.directory) throw failure("ENOTDIR", path);
        return { inode, path, position: 0, open: true };
      },
      read: (handle, buffer, position) => {
        const file = opened(handle);
        const count = this.#read(file, buffer, position ?? file.position);
        if (position === undefined) file.position += count;
        return count;
      },
      write: (handle, bytes, position) => {
        const file = opened(handle);
        const count = this.#write(file, bytes, position ?? file.position);
        if (position === undefined) file.position += count;
        return count;
      },
      fsync: (handle) => {
        const { ino } = opened(handle).inode;
        this.#raiseFloors(({ kind, key }) => kind !== "name" && key.split(" ")[1] === String(ino));
        this.#lastFsync = this.#clock;
      },
      fsyncDir: (handle) => {
        const prefix = `name ${opened(handle).inode.ino} `;
        this.#raiseFloors(({ key }) => key.startsWith(prefix));
      },
      syncFs: () => this.syncAll(),
      close: (handle) => {
        opened(handle).open = false;
      },
      stat: (path) => this.#look(path),
      lstat: (path) => this.#look(path),
      fstat: (handle) => this.#statOf(opened(handle).inode),
      fchmod: (handle, mode) => this.#setMetadata(opened(handle).inode, { mode }),
      fchown: (handle, uid, gid) => this.#setMetadata(opened(handle).inode, { uid, gid }),
      futimes: (handle, mtimeNs) => this.#setMetadata(opened(handle).inode, { mtimeNs }),
      flock: (handle) => {
        throw failure("ENOTSUP", opened(handle).path);
      },
      funlock: (handle) => {
        throw failure("ENOTSUP", opened(handle).path);
      },
      clone: () => false,
      readlink: (path) => {
        throw failure("EINVAL", path);
      },
      rename: (from, to) => this.#rename(from, to),
      link: (from, to) => {
        const inode = this.#existing(from);
        if (this.#lookup(to) !== undefined) throw failure("EEXIST", to);
        this.#change("name", this.#nameKey(to), inode.ino);
        inode.links++;
      },
      unlink: (path) => {
        const inode = this.#existing(path);
        if (inode.directory) throw failure("EISDIR", path);
        this.#change("name", this.#nameKey(path), undefined);
        inode.links--;
      },
      mkdir: (path, mode) => {
        const key = this.#nameKey(path);
        if (this.#lookup(path) !== undefined) throw failure("EEXIST", path);
        this.#change("name", key, this.#newInode(true, mode & ~0o022).ino);
      },
      rmdir: (path) => {
        const inode = this.#existing(path);
        if (!inode.directory) throw failure("ENOTDIR", path);
        if (this.#names(inode).length > 0) throw failure("ENOTEMPTY", path);
        this.#change("name", this.#nameKey(path), undefined);
      },
      readdir: (path) => this.#entries(path),
      sleep: () => {},
    };
    return this.#reporting(operations);
  }

  #look(path: string): FileStat | undefined {
    const inode = this.#lookup(path);
    return inode === undefined ? undefined : this.#statOf(inode);
  }

  #entries(path: string): readonly DirEntry[] {
    const directory = this.#existing(path);
    return this.#names(directory).map((name) => {
      const inode = this.#existing(`${path}/${name}`);
      return { name, kind: inode.directory ? "directory" : "file" };
    });
  }

  #rename(from: string, to: string): void {
    const moved = this.#existing(from);
    const target = this.#lookup(to);
    if (target?.directory) throw failure("EISDIR", to);
    if (target === moved) return;
    const group = ++this.#clock;
    const key = this.#nameKey(to);
    this.#change("name", key, moved.ino, group);
    this.#change("name", this.#nameKey(from), undefined, group);
    if (target !== undefined) target.links--;
  }

  #reporting(operations: SyncFsOps): SyncFsOps {
    const reported: Record<string, unknown> = {};
    for (const [name, call] of Object.entries(operations)) {
      reported[name] = (...args: readonly unknown[]) => {
        const answer = (call as (...all: readonly unknown[]) => unknown)(...args);
        this.onOperation?.(name);
        return answer;
      };
    }
    return reported as unknown as SyncFsOps;
  }
}

/** An image as text, for messages and for comparing two of them. */
function describeImage(image: CrashImage): string {
  return JSON.stringify(
    [...image],
    (_, value) => typeof value === "bigint" ? String(value) : value,
  );
}

/** Every way to choose a version of each cell. */
function* product(cells: readonly Cell[]): Generator<Map<Cell, number>> {
  const [first, ...rest] = cells;
  if (first === undefined) {
    yield new Map();
    return;
  }
  for (const choice of product(rest)) {
    for (let index = first.floor; index < first.versions.length; index++) {
      yield new Map([...choice, [first, index]]);
    }
  }
}

function lastUpTo(cell: Cell, at: number): number {
  return Math.max(cell.floor, cell.versions.findLastIndex((version) => version.at <= at));
}

function opened(handle: FsHandle): MemoryHandle {
  const file = handle as MemoryHandle;
  if (!file.open) throw failure("EBADF", file.path);
  return file;
}

function failure(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code });
}

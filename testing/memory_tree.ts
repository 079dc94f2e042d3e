/** The names of a {@linkcode MemoryFs}: looking paths up, and every call that changes a directory or a file. */

import { basename, dirname } from "node:path";
import type { DirEntry, FileStat } from "../src/base/fs_adapter.ts";
import type { CrashImage } from "./crash_image.ts";
import { type Cell, type Disk, type Inode, type Metadata, ROOT_INO } from "./disk.ts";

/** An error with an errno name, as the operations throw. */
export function failure(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code });
}

export class MemoryTree {
  readonly disk: Disk;
  readonly #reuseInodes: boolean;
  /** The last inode number that each process gave out: the same in every schedule. */
  readonly #last = new Map<number, number>();

  constructor(disk: Disk, reuseInodes: boolean) {
    this.disk = disk;
    this.#reuseInodes = reuseInodes;
  }

  get root(): Inode {
    return this.disk.inodes.get(ROOT_INO) as Inode;
  }

  /** What a path names, or undefined. Follows symbolic links in the middle, and at the end if asked. */
  lookup(path: string, follow: boolean, links = 0): Inode | undefined {
    let inode = this.root;
    let at = "";
    const parts = path.split("/").filter((part) => part !== "" && part !== ".");
    for (const [index, part] of parts.entries()) {
      if (inode.kind !== "directory") throw failure("ENOTDIR", path);
      const found = part === ".."
        ? this.lookup(dirname(at), true)
        : this.#inode(inode.names.get(part));
      if (found === undefined) return undefined;
      const last = index === parts.length - 1;
      if (found.kind === "symlink" && (!last || follow)) {
        if (links === MOST_LINKS) throw failure("ELOOP", path);
        const target = found.target.startsWith("/") ? found.target : `${at}/${found.target}`;
        return this.lookup([target, ...parts.slice(index + 1)].join("/"), follow, links + 1);
      }
      at = part === ".." ? dirname(at) : `${at === "/" ? "" : at}/${part}`;
      inode = found;
    }
    return inode;
  }

  existing(path: string, follow: boolean): Inode {
    const inode = this.lookup(path, follow);
    if (inode === undefined) throw failure("ENOENT", path);
    return inode;
  }

  /** A new regular file under a name that must be free. */
  create(pid: number, path: string, mode: number): Inode {
    const cell = this.#freeName(path);
    const inode = this.#newInode(pid, "file", mode & ~UMASK, path);
    inode.links = 1;
    this.disk.change(cell, inode.ino);
    return inode;
  }

  mkdir(pid: number, path: string, mode: number): void {
    const cell = this.#freeName(path);
    this.disk.change(cell, this.#newInode(pid, "directory", mode & ~UMASK, path).ino);
    this.existing(dirname(path), true).links++;
  }

  symlink(target: string, path: string): void {
    const cell = this.#freeName(path);
    const inode = this.#newInode(0, "symlink", 0o777, path, target);
    inode.links = 1;
    this.disk.change(cell, inode.ino);
  }

  link(from: string, to: string): void {
    const inode = this.existing(from, false);
    if (inode.kind === "directory") throw failure("EPERM", from);
    const cell = this.#freeName(to);
    this.disk.change(cell, inode.ino);
    inode.links++;
  }

  unlink(path: string): void {
    const inode = this.existing(path, false);
    if (inode.kind === "directory") throw failure("EISDIR", path);
    this.disk.change(this.#name(path), undefined);
    inode.links--;
    this.#forget(inode);
  }

  rmdir(path: string): void {
    const inode = this.existing(path, false);
    if (inode.kind !== "directory") throw failure("ENOTDIR", path);
    if (this.entries(inode).length > 0) throw failure("ENOTEMPTY", path);
    this.disk.change(this.#name(path), undefined);
    this.#dropDirectory(inode, path);
  }

  rename(from: string, to: string): void {
    const moved = this.existing(from, false);
    const old = this.lookup(to, false);
    if (old === moved) return;
    const directory = moved.kind === "directory";
    if (directory && `${to}/`.startsWith(`${from}/`)) throw failure("EINVAL", to);
    if (old !== undefined && directory !== (old.kind === "directory")) {
      throw failure(directory ? "ENOTDIR" : "EISDIR", to);
    }
    if (old?.kind === "directory" && this.entries(old).length > 0) throw failure("ENOTEMPTY", to);
    const [source, target] = [this.#name(from), this.#name(to)];
    const at = this.disk.tick();
    this.disk.change(target, moved.ino, at);
    this.disk.change(source, undefined, at);
    if (directory) {
      this.existing(dirname(from), true).links--;
      this.existing(dirname(to), true).links++;
    }
    if (old === undefined) return;
    if (moved.kind === "file") this.disk.replacingRenames.push({ at, ino: moved.ino });
    if (old.kind === "directory") this.#dropDirectory(old, to);
    else {
      old.links--;
      this.#forget(old);
    }
  }

  entries(directory: Inode): readonly DirEntry[] {
    const found: DirEntry[] = [];
    for (const [name, cell] of directory.names) {
      const inode = this.#inode(cell);
      if (inode !== undefined) found.push({ name, kind: inode.kind });
    }
    return found;
  }

  stat(inode: Inode): FileStat {
    const { mode, uid, gid, mtimeNs } = inode.metadata.value;
    return {
      dev: 1n,
      ino: BigInt(inode.ino),
      nlink: inode.links,
      mode: TYPE_BITS[inode.kind] | mode,
      uid,
      gid,
      size: inode.kind === "symlink" ? inode.target.length : inode.size.value,
      mtimeNs,
    };
  }

  setMetadata(inode: Inode, change: Partial<Metadata>): void {
    this.disk.change(inode.metadata, { ...inode.metadata.value, ...change });
  }

  write(inode: Inode, path: string, bytes: Uint8Array, position: number): void {
    const { pageBytes } = this.disk;
    const text = latin1(bytes);
    for (let done = 0; done < text.length;) {
      const page = Math.floor((position + done) / pageBytes);
      const offset = (position + done) % pageBytes;
      const part = text.slice(done, done + pageBytes - offset);
      const cell = this.disk.pageCell(inode, page, path);
      const before = cell.value.padEnd(offset, "\0");
      this.disk.change(cell, before.slice(0, offset) + part + before.slice(offset + part.length));
      done += part.length;
    }
    const end = position + text.length;
    if (end > inode.size.value) this.disk.change(inode.size, end);
  }

  read(inode: Inode, buffer: Uint8Array, position: number): number {
    const { pageBytes } = this.disk;
    const count = Math.max(0, Math.min(buffer.byteLength, inode.size.value - position));
    for (let index = 0; index < count; index++) {
      const at = position + index;
      buffer[index] = inode.pages[Math.floor(at / pageBytes)]?.value.charCodeAt(at % pageBytes) ||
        0;
    }
    return count;
  }

  close(inode: Inode): void {
    inode.opens--;
    this.#forget(inode);
  }

  /** Builds the tree of an image. Two paths of one inode become two names of one file. */
  restore(image: CrashImage): void {
    const first = new Map<number, string>();
    for (const path of [...image.keys()].sort()) {
      const { content, mode, uid, gid, mtimeNs, ino, symlink } = image.get(path) as NonNullable<
        ReturnType<CrashImage["get"]>
      >;
      const known = first.get(ino);
      if (known !== undefined) {
        this.link(known, path);
        continue;
      }
      first.set(ino, path);
      if (path.endsWith("/")) this.mkdir(0, path.slice(0, -1), mode);
      else if (symlink) this.symlink(content, path);
      else {
        const inode = this.create(0, path, mode);
        this.write(inode, path, Uint8Array.from(content, (one) => one.charCodeAt(0)), 0);
      }
      this.setMetadata(this.existing(path, false), { mode, uid, gid, mtimeNs });
    }
  }

  #inode(cell: Cell<number | undefined> | undefined): Inode | undefined {
    return cell?.value === undefined ? undefined : this.disk.inodes.get(cell.value);
  }

  /** The cell of a name; the directory of the path must exist. */
  #name(path: string): Cell<number | undefined> {
    const directory = this.existing(dirname(path), true);
    if (directory.kind !== "directory") throw failure("ENOTDIR", path);
    return this.disk.nameCell(directory, basename(path), path);
  }

  #freeName(path: string): Cell<number | undefined> {
    const cell = this.#name(path);
    if (cell.value !== undefined) throw failure("EEXIST", path);
    return cell;
  }

  #newInode(
    pid: number,
    kind: Inode["kind"],
    mode: number,
    path: string,
    target?: string,
  ): Inode {
    const metadata = { mode, uid: 0, gid: 0, mtimeNs: 0n };
    return this.disk.newInode(this.#nextIno(pid), kind, metadata, path, target);
  }

  #nextIno(pid: number): number {
    if (this.#reuseInodes) {
      let ino = ROOT_INO + 1;
      while (this.disk.inodes.has(ino)) ino++;
      return ino;
    }
    const next = (this.#last.get(pid) ?? pid * INODES_A_PROCESS + ROOT_INO) + 1;
    this.#last.set(pid, next);
    return next;
  }

  #dropDirectory(inode: Inode, path: string): void {
    inode.links = 0;
    this.existing(dirname(path), true).links--;
    this.#forget(inode);
  }

  #forget(inode: Inode): void {
    if (inode.links > 0) return;
    inode.freed = inode.opens === 0;
    this.disk.forgetIfGone(inode);
  }
}

const TYPE_BITS = { file: 0o100000, directory: 0o040000, symlink: 0o120000 } as const;
const UMASK = 0o022;
/** As Linux: path_resolution(7). */
const MOST_LINKS = 40;
const INODES_A_PROCESS = 100_000;

function latin1(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

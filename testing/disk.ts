/**
 * What a disk stores, in cells. A cell is what a power cut keeps or loses on its own: a page of data, a size, the metadata
 * of an inode, a name in a directory. Each change appends a version to a cell; fsync raises the cell's floor to its last version.
 * After a power cut every cell has some version between its floor and its last; which ones go together is a
 * matter of the profile (images.ts).
 */

/** A value that a cell has had. */
export interface Version<T> {
  readonly value: T;
  /** The place in the order of all changes. */
  readonly at: number;
  /** Versions of one group reach the disk together: the two names of a rename. */
  readonly group: number | undefined;
  /** A failed fsync dropped it: the page cache shows it, no later fsync brings it to the disk. */
  lost: boolean;
  /** A failed fsync of its directory: a later one covers only what came after it. */
  stuck: boolean;
}

/** What the disk stores on its own. */
export class Cell<T> {
  readonly kind: "page" | "size" | "metadata" | "name";
  /** For stories: what this is, in words. */
  readonly label: string;
  readonly versions: Version<T>[];
  /** The index of the oldest version that a power cut may bring back. */
  floor = 0;
  /** The same if fsync of a directory did nothing. */
  floorWithoutDirSync = 0;
  /** The same if no fsync reached the medium. */
  floorWithoutFlush = 0;

  constructor(kind: Cell<T>["kind"], label: string, first: T, at = 0) {
    this.kind = kind;
    this.label = label;
    this.versions = [{ value: first, at, group: undefined, lost: false, stuck: false }];
  }

  /** What calls see. */
  get value(): T {
    return this.version(this.versions.length - 1).value;
  }

  version(index: number): Version<T> {
    return this.versions[index] as Version<T>;
  }

  /** Whether a power cut has a choice. */
  get open(): boolean {
    return this.floorWithoutFlush < this.versions.length - 1;
  }

  /** What an fsync that succeeds makes durable. */
  sync(): void {
    const last = this.versions.findLastIndex(({ lost, stuck }) => !lost && !stuck);
    this.floor = Math.max(this.floor, last);
  }

  /** What a power cut may bring back, as text; `rank` is the place of a change among those that still matter. */
  history(rank: (at: number) => number): string {
    const { floor, floorWithoutDirSync, floorWithoutFlush } = this;
    const versions = this.versions.slice(floorWithoutFlush).map(({ value, at, lost, stuck }) => {
      const shown = typeof value === "object" ? Object.values(value as object).join() : value;
      return `${shown}@${rank(at)}${lost ? "l" : ""}${stuck ? "s" : ""}`;
    });
    return `${floor} ${floorWithoutDirSync} ${versions.join(" ")}`;
  }

  /** Everything is on the medium. Older versions are forgotten. */
  settle(): void {
    this.versions.splice(0, this.versions.length - 1);
    const only = this.version(0);
    only.lost = only.stuck = false;
    this.floor = this.floorWithoutDirSync = this.floorWithoutFlush = 0;
  }
}

/** What fchmod, fchown and futimes change. */
export interface Metadata {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeNs: bigint;
}

/** A file, directory or symbolic link. */
export interface Inode {
  readonly ino: number;
  readonly kind: "file" | "directory" | "symlink";
  /** Where a symbolic link points. */
  readonly target: string;
  readonly metadata: Cell<Metadata>;
  readonly size: Cell<number>;
  /** Contents of pages, one character a byte. */
  readonly pages: Cell<string>[];
  /** Inode numbers by name; `undefined` for a name that is gone. */
  readonly names: Map<string, Cell<number | undefined>>;
  links: number;
  /** Open descriptors. */
  opens: number;
  /** Whether it had neither names nor descriptors: its blocks are somebody else's, as soon as the disk allows it. */
  freed: boolean;
}

/** A rename over a name that existed: ext4 (auto_da_alloc) writes the data of `ino` out before it. */
export interface ReplacingRename {
  readonly at: number;
  readonly ino: number;
}

/** The inode number of the root directory. */
export const ROOT_INO = 1;

/** The cells of a disk, and what raises their floors. */
export class Disk {
  readonly inodes: Map<number, Inode> = new Map();
  /** Since everything was durable last. */
  readonly replacingRenames: ReplacingRename[] = [];
  /** Bytes a page: what may be torn, and arrives on its own. */
  readonly pageBytes: number;
  /** The last fsync of a file: with ordered metadata it made all earlier names durable. */
  lastFsync = 0;
  #clock = 0;

  constructor(pageBytes: number) {
    this.pageBytes = pageBytes;
    this.newInode(ROOT_INO, "directory", { mode: 0o755, uid: 0, gid: 0, mtimeNs: 0n }, "/");
  }

  get clock(): number {
    return this.#clock;
  }

  /** A place in the order of changes, for the versions of a group. */
  tick(): number {
    return ++this.#clock;
  }

  newInode(
    ino: number,
    kind: Inode["kind"],
    metadata: Metadata,
    label: string,
    target = "",
  ): Inode {
    const at = this.tick();
    const inode: Inode = {
      ino,
      kind,
      target,
      metadata: new Cell("metadata", `the metadata of ${label}`, metadata, at),
      size: new Cell("size", `the size of ${label}`, 0, at),
      pages: [],
      names: new Map(),
      links: kind === "directory" ? 2 : 0,
      opens: 0,
      freed: false,
    };
    this.inodes.set(ino, inode);
    return inode;
  }

  change<T>(cell: Cell<T>, value: T, group?: number): void {
    const at = group ?? this.tick();
    cell.versions.push({ value, at, group, lost: false, stuck: false });
  }

  /** The cell of a name; one that nobody has written reads as nothing. */
  nameCell(directory: Inode, name: string, path: string): Cell<number | undefined> {
    let cell = directory.names.get(name);
    if (cell === undefined) {
      cell = new Cell<number | undefined>("name", `the name ${path}`, undefined);
      directory.names.set(name, cell);
    }
    return cell;
  }

  /** The cell of a page. What never reached the disk reads as nothing, shown as zeros. */
  pageCell(inode: Inode, page: number, path: string): Cell<string> {
    return inode.pages[page] ??= new Cell("page", `page ${page} of ${path}`, "");
  }

  *cells(): Generator<Cell<unknown>> {
    for (const inode of this.inodes.values()) {
      yield inode.metadata as Cell<unknown>;
      yield inode.size as Cell<unknown>;
      for (const page of inode.pages) if (page !== undefined) yield page as Cell<unknown>;
      for (const name of inode.names.values()) yield name as Cell<unknown>;
    }
  }

  /** fsync(2) of a file: its data, size and metadata, never its name. */
  syncFile(inode: Inode): void {
    for (const cell of [inode.metadata, inode.size, ...inode.pages]) {
      cell?.sync();
      if (cell !== undefined) cell.floorWithoutDirSync = cell.floor;
    }
    this.lastFsync = this.#clock;
  }

  /** fsync(2) of a directory: the names in it, and the other halves of their renames. */
  syncDirectory(inode: Inode): void {
    const groups = new Set<number>();
    for (const cell of inode.names.values()) {
      cell.sync();
      for (const { group } of cell.versions.slice(0, cell.floor + 1)) {
        if (group !== undefined) groups.add(group);
      }
    }
    if (groups.size === 0) return;
    for (const other of this.inodes.values()) {
      for (const cell of other.names.values()) {
        const last = cell.versions.findLastIndex(({ group }) => groups.has(group as number));
        cell.floor = Math.max(cell.floor, last);
      }
    }
  }

  /** syncfs(2). */
  syncFs(): void {
    for (const cell of this.cells()) {
      cell.sync();
      cell.floorWithoutDirSync = cell.floor;
    }
    this.lastFsync = this.#clock;
  }

  /** An orderly shutdown: every change is on the medium, whatever the profile. */
  settle(): void {
    for (const cell of this.cells()) cell.settle();
    this.replacingRenames.length = 0;
    this.lastFsync = this.#clock;
    for (const inode of [...this.inodes.values()]) this.forgetIfGone(inode);
  }

  /**
   * An fsync of a file that fails: the kernel marks the pages clean although they never arrived (reproduced on ext4, XFS and
   * btrfs; see also fsync(2), EIO). Their present versions are lost on this inode.
   */
  failFileSync(inode: Inode): void {
    for (const cell of inode.pages) {
      for (const version of cell?.versions.slice(cell.floor + 1) ?? []) version.lost = true;
    }
  }

  /** An fsync of a directory that fails: a later one covers only later changes. */
  failDirectorySync(inode: Inode): void {
    for (const cell of inode.names.values()) {
      for (const version of cell.versions.slice(cell.floor + 1)) version.stuck = true;
    }
  }

  /** The state as text; with `history` also what a power cut may bring back. */
  fingerprint(history: boolean): string {
    let text = "";
    for (const ino of [...this.inodes.keys()].sort((a, b) => a - b)) {
      const { metadata, size, pages, names, links, opens, freed } = this.inodes.get(ino) as Inode;
      const { mode, uid, gid, mtimeNs } = metadata.value;
      text += `#${ino} ${mode} ${uid} ${gid} ${mtimeNs} ${size.value} ${links} ${opens}${
        history && freed ? "f" : ""
      }`;
      for (const page of pages) text += `:${page?.value ?? ""}`;
      for (const name of [...names.keys()].sort()) text += ` ${name}=${names.get(name)?.value}`;
    }
    return history ? text + this.#history() : text;
  }

  #history(): string {
    const open = [...this.cells()].filter((cell) => cell.open);
    const order = [...new Set(open.flatMap(({ versions }) => versions.map(({ at }) => at)))];
    const ranks = new Map(order.sort((a, b) => a - b).map((at, rank) => [at, rank]));
    const rank = (at: number): number => ranks.get(at) ?? -1;
    const synced = order.filter((at) => at <= this.lastFsync).length;
    const lines = open.map((cell) => `${cell.label} ${cell.history(rank)}`).sort();
    return `|${synced}\n${lines.join("\n")}`;
  }

  /** An inode that nothing names, nothing has open and no power cut brings back exists no more. */
  forgetIfGone(inode: Inode): void {
    if (inode.opens > 0 || inode.ino === ROOT_INO) return;
    for (const other of this.inodes.values()) {
      for (const cell of other.names.values()) {
        if (cell.versions.some(({ value }) => value === inode.ino)) return;
      }
    }
    this.inodes.delete(inode.ino);
  }
}

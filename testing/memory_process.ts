/** One process on a {@linkcode MemoryFs}: an adapter with descriptors, locks, a clock and chances of its own. */

import type {
  Capabilities,
  FsAdapter,
  FsHandle,
  FsOps,
  OpenOptions,
  ProcessHooks,
  SyncFsOps,
} from "../src/base/fs_adapter.ts";
import type { Inode } from "./disk.ts";
import type { LockTable } from "./lock_table.ts";
import { failure, type MemoryTree } from "./memory_tree.ts";

/**
 * One operation that a process has done.
 *
 * @example Look on
 * ```ts
 * import { atomicWriteSync } from "@crashsafe/fs";
 * import { MemoryFs, type MemoryOperation } from "@crashsafe/fs/testing";
 *
 * const disk = new MemoryFs();
 * disk.onOperation = ({ text }: MemoryOperation) => console.log(text);
 * atomicWriteSync("/file", "data", { adapter: disk });
 * ```
 */
export interface MemoryOperation {
  /** The process. */
  readonly pid: number;
  /** The name of the operation in `FsOps`. */
  readonly operation: keyof FsOps;
  /** Everything in one line, with its outcome. */
  readonly text: string;
}

interface OpenMemoryFile {
  readonly pid: number;
  readonly inode: Inode;
  readonly path: string;
  readonly access: OpenOptions["access"];
  position: number;
}

/**
 * A process. It lives until {@linkcode kill}.
 *
 * @example One dies, the other looks
 * ```ts
 * import { atomicWriteSync } from "@crashsafe/fs";
 * import { MemoryFs } from "@crashsafe/fs/testing";
 *
 * const disk = new MemoryFs();
 * const [one, other] = [disk.spawn(), disk.spawn()];
 * atomicWriteSync("/file", "data", { adapter: one });
 * one.kill();
 * console.log(other.sync.stat("/file")?.size); // 4
 * ```
 */
export class MemoryProcess implements FsAdapter {
  /** `"memory"`. */
  readonly name = "memory";
  /** No errors pass by themselves here. */
  readonly transientRenameErrors: readonly string[] = [];
  /** The synchronous operations. */
  readonly sync: SyncFsOps;
  /** The same: everything answers at once. */
  readonly async: FsOps;
  /** What it can do: everything but sharing blocks. */
  readonly capabilities: Capabilities = {
    flock: "native",
    mtimePrecision: "ns",
    mtimeReadPrecision: "ns",
    fsync: true,
    fsyncDir: true,
    syncFs: true,
    clone: false,
    handleMetadata: true,
  };
  /** A process of its own, in `/`, whose chances and clock are the same in every run. */
  readonly process: ProcessHooks;
  readonly #tree: MemoryTree;
  readonly #locks: LockTable;
  readonly #report: (operation: MemoryOperation) => void;
  readonly #open = new Set<OpenMemoryFile>();
  #killed = false;
  #sleptMs = 0;

  /** Made by `MemoryFs.spawn()`. */
  constructor(
    pid: number,
    tree: MemoryTree,
    locks: LockTable,
    report: (operation: MemoryOperation) => void,
  ) {
    this.#tree = tree;
    this.#locks = locks;
    this.#report = report;
    let state = pid * 0x9e3779b1;
    this.process = {
      pid,
      realm: {},
      cwd: () => "/",
      fromFileUrl: (url) => decodeURIComponent(url.pathname),
      random: (bytes) => {
        for (let index = 0; index < bytes.length; index++) {
          // A linear congruential generator: the same names in every run.
          state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
          bytes[index] = state >>> 24;
        }
      },
      now: () => this.#sleptMs,
    };
    this.sync = this.#reporting(this.#operations());
    this.async = this.sync;
  }

  /** How many descriptors are open. */
  get openHandles(): number {
    return this.#open.size;
  }

  /** Whether the process was killed. */
  get killed(): boolean {
    return this.#killed;
  }

  /** SIGKILL: descriptors are closed, locks are free, and whatever is still called fails with ESRCH. */
  kill(): void {
    for (const file of [...this.#open]) this.#close(file);
    this.#killed = true;
  }

  /** Errors of this file system carry their code. */
  classify(error: unknown): string | undefined {
    const code = (error as { code?: unknown } | undefined)?.code;
    return error instanceof Error && typeof code === "string" ? code : undefined;
  }

  /** A fault was injected instead of an operation: a failed fsync loses what it was to write. */
  injectedFault(operation: string, handle: FsHandle): void {
    const { inode } = this.#opened(handle);
    if (operation === "fsync") this.#tree.disk.failFileSync(inode);
    if (operation === "fsyncDir") this.#tree.disk.failDirectorySync(inode);
  }

  #operations(): SyncFsOps {
    const tree = this.#tree;
    const inodeOf = (handle: FsHandle): Inode => this.#opened(handle).inode;
    const look = (path: string, follow: boolean): ReturnType<SyncFsOps["stat"]> => {
      const inode = tree.lookup(path, follow);
      return inode && tree.stat(inode);
    };
    return {
      open: (path, options) => this.#openFile(path, options),
      openDir: (path) => {
        const inode = tree.existing(path, true);
        if (inode.kind !== "directory") throw failure("ENOTDIR", path);
        return this.#opening(inode, path, "read");
      },
      read: (handle, buffer, position) => {
        const file = this.#opened(handle);
        if (file.access === "write") throw failure("EBADF", file.path);
        const count = tree.read(file.inode, buffer, position ?? file.position);
        if (position === undefined) file.position += count;
        return count;
      },
      write: (handle, bytes, position) => {
        const file = this.#opened(handle);
        if (file.access === "read") throw failure("EBADF", file.path);
        tree.write(file.inode, file.path, bytes, position ?? file.position);
        if (position === undefined) file.position += bytes.byteLength;
        return bytes.byteLength;
      },
      fsync: (handle) => tree.disk.syncFile(inodeOf(handle)),
      fsyncDir: (handle) => tree.disk.syncDirectory(inodeOf(handle)),
      syncFs: (handle) => void (inodeOf(handle), tree.disk.syncFs()),
      close: (handle) => this.#close(this.#opened(handle)),
      pin: (path) => this.#opening(tree.existing(path, false), path, "read"),
      stat: (path) => look(path, true),
      lstat: (path) => look(path, false),
      fstat: (handle) => tree.stat(inodeOf(handle)),
      chmod: (path, mode) => tree.setMetadata(tree.existing(path, true), { mode }),
      fchmod: (handle, mode) => tree.setMetadata(inodeOf(handle), { mode }),
      fchown: (handle, uid, gid) => tree.setMetadata(inodeOf(handle), { uid, gid }),
      futimes: (handle, mtimeNs) => tree.setMetadata(inodeOf(handle), { mtimeNs }),
      flock: (handle, kind) => this.#locks.take(this.#opened(handle), kind),
      funlock: (handle) => this.#locks.release(this.#opened(handle)),
      clone: () => false,
      readlink: (path) => {
        const inode = tree.existing(path, false);
        if (inode.kind !== "symlink") throw failure("EINVAL", path);
        return inode.target;
      },
      rename: (from, to) => tree.rename(from, to),
      link: (from, to) => tree.link(from, to),
      unlink: (path) => tree.unlink(path),
      mkdir: (path, mode) => tree.mkdir(this.process.pid, path, mode),
      rmdir: (path) => tree.rmdir(path),
      readdir: (path) => {
        const inode = tree.existing(path, true);
        if (inode.kind !== "directory") throw failure("ENOTDIR", path);
        return tree.entries(inode);
      },
      sleep: (ms) => {
        this.#sleptMs += ms;
      },
    };
  }

  #openFile(path: string, options: OpenOptions): FsHandle {
    let inode = this.#tree.lookup(path, !options.noFollow && options.create !== "exclusive");
    if (inode !== undefined && options.create === "exclusive") throw failure("EEXIST", path);
    if (inode === undefined) {
      if (options.create === undefined) throw failure("ENOENT", path);
      inode = this.#tree.create(this.process.pid, path, options.mode ?? 0o666);
    }
    if (inode.kind === "symlink") throw failure("ELOOP", path);
    if (inode.kind === "directory" && options.access !== "read") throw failure("EISDIR", path);
    return this.#opening(inode, path, options.access);
  }

  #opening(inode: Inode, path: string, access: OpenOptions["access"]): FsHandle {
    inode.opens++;
    const file: OpenMemoryFile = { pid: this.process.pid, inode, path, access, position: 0 };
    this.#open.add(file);
    return file;
  }

  #opened(handle: FsHandle): OpenMemoryFile {
    const file = handle as OpenMemoryFile;
    if (!this.#open.has(file)) throw failure("EBADF", String(file.path));
    return file;
  }

  #close(file: OpenMemoryFile): void {
    this.#locks.release(file);
    this.#open.delete(file);
    this.#tree.close(file.inode);
  }

  #reporting(operations: SyncFsOps): SyncFsOps {
    const reported: Record<string, unknown> = {};
    for (const [name, call] of Object.entries(operations)) {
      const operation = name as keyof FsOps;
      const perform = call as (...args: readonly unknown[]) => unknown;
      reported[name] = (...args: readonly unknown[]) => {
        if (this.#killed) throw failure("ESRCH", "the process was killed");
        let outcome = "";
        try {
          const answer = perform(...args);
          if (answer === false) outcome = ": false";
          return answer;
        } catch (error) {
          outcome = `: ${this.classify(error)}`;
          throw error;
        } finally {
          this.#report(new Done(this.process.pid, operation, args, outcome));
        }
      };
    }
    return reported as unknown as SyncFsOps;
  }
}

/** Tells its text only to who asks: most operations are never told. */
class Done implements MemoryOperation {
  readonly pid: number;
  readonly operation: keyof FsOps;
  readonly #args: readonly unknown[];
  readonly #outcome: string;

  constructor(pid: number, operation: keyof FsOps, args: readonly unknown[], outcome: string) {
    this.pid = pid;
    this.operation = operation;
    this.#args = args;
    this.#outcome = outcome;
  }

  get text(): string {
    return `${describeCall(this.operation, this.#args)}${this.#outcome}`;
  }
}

/** A call in one line. */
export function describeCall(name: string, args: readonly unknown[]): string {
  const words = args.map((arg) => {
    if (typeof arg === "string") return arg;
    if (arg instanceof Uint8Array) return `${arg.byteLength} bytes`;
    if (typeof arg === "number" && (name === "fchmod" || name === "chmod" || name === "mkdir")) {
      return arg.toString(8);
    }
    if (typeof arg !== "object" || arg === null) return String(arg ?? "");
    if ("path" in arg) return String(arg.path);
    const { access, create } = arg as Partial<OpenOptions>;
    return create === undefined ? `(${access})` : `(${access}, create ${create})`;
  });
  return [name, ...words].join(" ").trimEnd();
}

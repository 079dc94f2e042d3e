/**
 * A file system in memory that knows what a crash may leave of it: any number of processes with descriptors and flock(2) locks of
 * their own work on one disk (disk.ts), and at any moment it tells every tree that a power cut may leave (images.ts).
 */

import type {
  Capabilities,
  FsAdapter,
  FsHandle,
  FsOps,
  SyncFsOps,
} from "../src/base/fs_adapter.ts";
import { type CrashImage, imageKey } from "./crash_image.ts";
import { Disk } from "./disk.ts";
import { choices, type CrashProfile, describeChoice, imageOf } from "./images.ts";
import { type HeldLock, LockTable } from "./lock_table.ts";
import { type MemoryOperation, MemoryProcess } from "./memory_process.ts";
import { MemoryTree } from "./memory_tree.ts";

/**
 * How a {@linkcode MemoryFs} behaves where real file systems differ.
 *
 * @example Small pages tear more
 * ```ts
 * import { MemoryFs, type MemoryFsOptions } from "@crashsafe/fs/testing";
 *
 * const options: MemoryFsOptions = { pageBytes: 16 };
 * console.log(new MemoryFs(options).name); // memory
 * ```
 */
export interface MemoryFsOptions {
  /** Give the lowest free inode number to a new file, as ext4 does, instead of one that never was. @default false */
  readonly reuseInodes?: boolean;
  /** Bytes a page, the unit that arrives on its own. Small ones make several of short contents. @default 4096 */
  readonly pageBytes?: number;
}

/**
 * A disk in memory. It is itself the adapter of a first process; {@linkcode spawn} starts more.
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
  /** No errors pass by themselves here. */
  readonly transientRenameErrors: readonly string[] = [];
  /** Called after every operation of every process: the moment for a crash. */
  onOperation: ((operation: MemoryOperation) => void) | undefined;
  readonly #disk: Disk;
  readonly #locks = new LockTable();
  readonly #tree: MemoryTree;
  readonly #first: MemoryProcess;
  #processes = 0;

  /** An empty root directory, durable. */
  constructor(options: MemoryFsOptions = {}) {
    this.#disk = new Disk(options.pageBytes ?? 4096);
    this.#tree = new MemoryTree(this.#disk, options.reuseInodes ?? false);
    this.#first = this.spawn();
    this.settle();
  }

  /**
   * The disk as it comes up after a crash: all of `image` is durable.
   *
   * @param image A tree of {@linkcode images} or {@linkcode now}.
   * @param options As for the constructor.
   * @returns A disk without processes, and so without locks.
   */
  static from(image: CrashImage, options: MemoryFsOptions = {}): MemoryFs {
    const fs = new MemoryFs(options);
    fs.#tree.restore(image);
    fs.settle();
    return fs;
  }

  /** The operations of the first process. */
  get sync(): SyncFsOps {
    return this.#first.sync;
  }

  /** The same: everything answers at once. */
  get async(): FsOps {
    return this.#first.async;
  }

  /** What it can do: everything but sharing blocks. */
  get capabilities(): Capabilities {
    return this.#first.capabilities;
  }

  /** The first process, in `/`. */
  get process(): FsAdapter["process"] {
    return this.#first.process;
  }

  /** How many descriptors the first process has open. */
  get openHandles(): number {
    return this.#first.openHandles;
  }

  /** Errors of this file system carry their code. */
  classify(error: unknown): string | undefined {
    return this.#first.classify(error);
  }

  /** Told by a `FaultFs`: a failed fsync loses what it was to write. */
  injectedFault(operation: string, handle: FsHandle): void {
    this.#first.injectedFault(operation, handle);
  }

  /** Starts another process on the same disk. */
  spawn(): MemoryProcess {
    return new MemoryProcess(
      ++this.#processes,
      this.#tree,
      this.#locks,
      (operation) => this.onOperation?.(operation),
    );
  }

  /** Who holds which locks. */
  get locks(): readonly HeldLock[] {
    return this.#locks.held();
  }

  /** Makes a symbolic link, for which adapters have no operation. */
  symlink(target: string, path: string): void {
    this.#tree.symlink(target, path);
  }

  /** Makes everything durable, as an orderly shutdown does. */
  settle(): void {
    this.#disk.settle();
  }

  /** The tree as calls see it now: what a killed process leaves. */
  now(): CrashImage {
    return imageOf(this.#disk, new Map());
  }

  /**
   * Every distinct tree that a power cut at this moment may leave.
   *
   * @param profile What the disk may reorder.
   * @returns The trees. Their number grows with the changes that are not durable yet.
   */
  *images(profile: CrashProfile): Generator<CrashImage> {
    const seen = new Set<string>();
    for (const { image } of this.crashes(profile)) {
      const key = imageKey(image);
      if (seen.has(key)) continue;
      seen.add(key);
      yield image;
    }
  }

  /** The same, each with what is missing of the latest changes, in words; equal trees may come more than once. */
  *crashes(
    profile: CrashProfile,
  ): Generator<{ readonly image: CrashImage; readonly missing: () => readonly string[] }> {
    for (const choice of choices(this.#disk, profile)) {
      const image = imageOf(this.#disk, choice, profile);
      yield { image, missing: () => describeChoice(choice) };
    }
  }

  /**
   * All that the future depends on, as text: names, contents, descriptors and locks.
   *
   * @param history Whether to tell what a power cut may bring back, too.
   */
  fingerprint(history: boolean): string {
    const locks = this.locks.map(({ pid, ino, kind }) => `${pid} ${ino} ${kind}`).sort().join();
    return `${this.#disk.fingerprint(history)}|${locks}`;
  }
}

import { chooseAdapter } from "../base/default_adapter.ts";
import { CrashSafeError, MisuseError, RecoveryError } from "../base/errors.ts";
import type { FsAdapter } from "../base/fs_adapter.ts";
import { absolutePath, nameOf } from "../base/paths.ts";
import { StepFs } from "../base/step_fs.ts";
import { runAsync, runSync } from "../base/steps.ts";
import {
  createTempDir,
  requireDurableStaging,
  type StagingDurability,
  type TempDirCore,
} from "./temp_dir_core.ts";

/**
 * How to make a temporary directory.
 *
 * @example On another file system
 * ```ts
 * import { TempDir, type TempDirOptions } from "@crashsafe/fs";
 * import { MemoryFs } from "@crashsafe/fs/testing";
 *
 * const options: TempDirOptions = { adapter: new MemoryFs() };
 * TempDir.createSync("/tmp", options).cleanupSync();
 * ```
 */
export interface TempDirOptions {
  /** The file system. @default the runtime's own */
  readonly adapter?: FsAdapter;
}

/**
 * How to move something into or out of a temporary directory.
 *
 * @example To survive a power cut
 * ```ts
 * import { type StagingOptions } from "@crashsafe/fs";
 *
 * const options: StagingOptions = { durability: "full" };
 * console.log(options.durability);
 * ```
 */
export interface StagingOptions {
  /**
   * `"full"`: what has resolved survives a power cut (a deletion does not come back; an addition is there with all its content).
   * @default "none"
   */
  readonly durability?: StagingDurability;
}

/**
 * Something that is to be added elsewhere, all at once.
 *
 * @example Fill, then publish
 * ```ts
 * import { type StagedAddition, TempDir } from "@crashsafe/fs";
 * import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
 *
 * const dir = mkdtempSync("example-");
 * const temp = TempDir.createSync(`${dir}/tmp`);
 * const addition: StagedAddition = temp.stageAddition();
 * writeFileSync(addition.path, "data");
 * addition.commitSync(`${dir}/file`);
 * temp.cleanupSync();
 * rmSync(dir, { recursive: true });
 * ```
 */
export interface StagedAddition {
  /** Put a file or a directory here. Nothing is there yet. */
  readonly path: string;
  /**
   * Gives it its name: a directory by rename(2), anything else by link(2) and unlink(2). Works once; after a failure it can be tried again.
   *
   * @param dest The name, which must be free, on the same file system. (An empty directory that somebody makes there in the same moment is
   * replaced by a directory.)
   * @throws {CrashSafeError} `EEXIST`, `ENOENT` (nothing was put at the path), `EXDEV`: nothing was moved.
   * @throws {DurabilityUnknownError} It is there, but a power cut may undo it.
   */
  commit(dest: string | URL, options?: StagingOptions): Promise<void>;
  /** The same, done when it returns. */
  commitSync(dest: string | URL, options?: StagingOptions): void;
}

/** What stands behind each directory. */
const cores = new WeakMap<TempDir, TempDirCore>();

/**
 * A directory of one's own, mode 0700, locked as long as its owner lives: what a dead process leaves is removed by `recoverStaleDirs`, which no living one needs
 * to fear.
 *
 * @example Replace a tree of files
 * ```ts
 * import { recoverStaleDirs, TempDir } from "@crashsafe/fs";
 * import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
 *
 * const store = mkdtempSync("example-");
 * mkdirSync(`${store}/layer`);
 * await recoverStaleDirs(`${store}/tmp`); // what dead processes left
 *
 * const temp = await TempDir.create(`${store}/tmp`);
 * const addition = temp.stageAddition();
 * mkdirSync(addition.path);
 * writeFileSync(`${addition.path}/data`, "new");
 * await temp.stageDeletion(`${store}/layer`); // gone at once, however large
 * await addition.commit(`${store}/layer`, { durability: "full" });
 * await temp.cleanup();
 * rmSync(store, { recursive: true });
 * ```
 */
export class TempDir {
  /** The directory, absolute. */
  readonly path: string;
  /** The root it was made in, absolute. */
  readonly root: string;

  private constructor(core: TempDirCore) {
    this.path = core.path;
    this.root = core.root;
    cores.set(this, core);
  }

  /**
   * Makes one.
   *
   * @param root Where; made with mode 0700 when it is missing. What is to be staged must be on the same file system.
   * @param options The file system.
   * @returns The directory, locked.
   * @throws {UnsupportedError} Without flock(2): nothing was made.
   * @throws {CrashSafeError} With the errno: nothing is left, or what is left is recovered.
   *
   * @example Use and remove
   * ```ts
   * import { TempDir } from "@crashsafe/fs";
   * import { rmdirSync, writeFileSync } from "node:fs";
   *
   * const temp = await TempDir.create("example-root");
   * writeFileSync(`${temp.path}/scratch`, "…");
   * await temp.cleanup();
   * rmdirSync("example-root");
   * ```
   */
  static async create(root: string | URL, options: TempDirOptions = {}): Promise<TempDir> {
    const adapter = chooseAdapter(options.adapter);
    const fs = new StepFs(adapter, "async");
    return new TempDir(await runAsync(createTempDir(fs, absolutePath(root, adapter))));
  }

  /**
   * {@linkcode TempDir.create}, done when it returns.
   *
   * @param root Where.
   * @param options The file system.
   * @returns The directory, locked.
   *
   * @example Use and remove
   * ```ts
   * import { TempDir } from "@crashsafe/fs";
   * import { rmdirSync } from "node:fs";
   *
   * TempDir.createSync("example-root").cleanupSync();
   * rmdirSync("example-root");
   * ```
   */
  static createSync(root: string | URL, options: TempDirOptions = {}): TempDir {
    const adapter = chooseAdapter(options.adapter);
    const fs = new StepFs(adapter, "sync");
    return new TempDir(runSync(createTempDir(fs, absolutePath(root, adapter))));
  }

  /**
   * Moves a file or a directory (or a symbolic link itself) in here, to go with the directory: gone from its place in one step, however large.
   *
   * @param path What is to be deleted, on the same file system.
   * @param options How durable.
   * @returns Where it is now: `<counter>-<name>` in this directory.
   * @throws {CrashSafeError} `EXDEV`: same file system needed; or another errno. Nothing was moved.
   * @throws {DurabilityUnknownError} It is gone from its place, but a power cut may bring it back.
   * @throws {TypeError} After a cleanup: nothing was moved.
   */
  async stageDeletion(path: string | URL, options: StagingOptions = {}): Promise<string> {
    const { core, from, durability } = deletion(this, path, options);
    return await runAsync(core.stageDeletion(new StepFs(core.adapter, "async"), from, durability));
  }

  /**
   * {@linkcode TempDir.stageDeletion}, done when it returns.
   *
   * @param path What is to be deleted.
   * @param options How durable.
   * @returns Where it is now.
   */
  stageDeletionSync(path: string | URL, options: StagingOptions = {}): string {
    const { core, from, durability } = deletion(this, path, options);
    return runSync(core.stageDeletion(new StepFs(core.adapter, "sync"), from, durability));
  }

  /**
   * A place to prepare a file or a directory that is to appear elsewhere all at once.
   *
   * @returns Its path, where nothing is yet, and the call that gives it its name.
   * @throws {TypeError} After a cleanup.
   */
  stageAddition(): StagedAddition {
    const core = coreOf(this);
    const path = core.nextAddition();
    let committed = false;
    const check = (dest: string | URL, { durability = "none" }: StagingOptions = {}): {
      readonly to: string;
      readonly durability: StagingDurability;
    } => {
      if (committed) throw new MisuseError(`"${path}" was committed already`);
      requireDurableStaging(core.adapter, durability, path);
      return { to: withoutSlash(absolutePath(dest, core.adapter)), durability };
    };
    return {
      path,
      async commit(dest, options) {
        const { to, durability } = check(dest, options);
        await runAsync(core.commit(new StepFs(core.adapter, "async"), path, to, durability));
        committed = true;
      },
      commitSync(dest, options) {
        const { to, durability } = check(dest, options);
        runSync(core.commit(new StepFs(core.adapter, "sync"), path, to, durability));
        committed = true;
      },
    };
  }

  /**
   * Removes the directory with all that is in it, whatever its modes, then the lock. A second call does nothing; after a failure it can be called again.
   *
   * @throws {CrashSafeError} What could not be removed and why. It stays locked, and staging is over.
   */
  async cleanup(): Promise<void> {
    const core = coreOf(this);
    await runAsync(core.cleanup(new StepFs(core.adapter, "async")));
  }

  /** {@linkcode TempDir.cleanup}, done when it returns. */
  cleanupSync(): void {
    const core = coreOf(this);
    runSync(core.cleanup(new StepFs(core.adapter, "sync")));
  }

  /** Cleans up, for `using`. */
  [Symbol.dispose](): void {
    this.cleanupSync();
  }

  /** Cleans up, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.cleanup();
  }
}

/**
 * What can be cleaned up: a directory, a function, or nothing, which is skipped.
 *
 * @example Directories, functions, nothing
 * ```ts
 * import { type Cleanup, cleanupTempDirsSync } from "@crashsafe/fs";
 *
 * const cleanups: Cleanup[] = [() => console.log("done"), undefined];
 * cleanupTempDirsSync(...cleanups); // done
 * ```
 */
export type Cleanup = TempDir | (() => unknown) | undefined | null;

/**
 * Cleans several up, all of them, whatever fails.
 *
 * @param cleanups Directories, functions, and what may be skipped.
 * @throws {RecoveryError} With every failure in `errors`.
 *
 * @example Clean up at the end
 * ```ts
 * import { cleanupTempDirs, TempDir } from "@crashsafe/fs";
 * import { rmdirSync } from "node:fs";
 *
 * const temps = [await TempDir.create("example-root"), undefined];
 * await cleanupTempDirs(...temps);
 * rmdirSync("example-root");
 * ```
 */
export async function cleanupTempDirs(...cleanups: readonly Cleanup[]): Promise<void> {
  const errors: unknown[] = [];
  for (const cleanup of cleanups) {
    try {
      await (cleanup instanceof TempDir ? cleanup.cleanup() : functionOf(cleanup)());
    } catch (error) {
      errors.push(error);
    }
  }
  throwAll(errors);
}

/**
 * {@linkcode cleanupTempDirs}, done when it returns.
 *
 * @param cleanups Directories, functions, and what may be skipped.
 * @throws {RecoveryError} With every failure in `errors`.
 *
 * @example Clean up at the end
 * ```ts
 * import { cleanupTempDirsSync, TempDir } from "@crashsafe/fs";
 * import { rmdirSync } from "node:fs";
 *
 * cleanupTempDirsSync(TempDir.createSync("example-root"), () => rmdirSync("example-root"));
 * ```
 */
export function cleanupTempDirsSync(...cleanups: readonly Cleanup[]): void {
  const errors: unknown[] = [];
  for (const cleanup of cleanups) {
    try {
      if (cleanup instanceof TempDir) cleanup.cleanupSync();
      else functionOf(cleanup)();
    } catch (error) {
      errors.push(error);
    }
  }
  throwAll(errors);
}

function functionOf(cleanup: Exclude<Cleanup, TempDir>): () => unknown {
  if (cleanup === undefined || cleanup === null) return () => {};
  if (typeof cleanup === "function") return cleanup;
  throw new MisuseError(`A cleanup must be a TempDir or a function, not ${nameOf(cleanup)}`);
}

function throwAll(errors: readonly unknown[]): void {
  const [first] = errors;
  if (first === undefined) return;
  const { code = "Unknown", operation = "cleanup", path = "" } = first instanceof CrashSafeError
    ? first
    : {};
  const told = errors.map((error) => error instanceof Error ? error.message : String(error));
  throw new RecoveryError(
    `Cannot clean up ${errors.length} of the temporary directories: ${told.join("; ")}`,
    { code, operation, path, cause: first },
    errors,
  );
}

function coreOf(dir: TempDir): TempDirCore {
  const core = cores.get(dir);
  if (core === undefined) throw new MisuseError("Not a TempDir of this package");
  return core;
}

function deletion(dir: TempDir, path: string | URL, { durability = "none" }: StagingOptions): {
  readonly core: TempDirCore;
  readonly from: string;
  readonly durability: StagingDurability;
} {
  const core = coreOf(dir);
  const from = withoutSlash(absolutePath(path, core.adapter));
  if (/(?:^|\/)\.{0,2}$/.test(from)) throw new MisuseError(`"${from}" has no name to be moved by`);
  requireDurableStaging(core.adapter, durability, from);
  return { core, from, durability };
}

function withoutSlash(path: string): string {
  return path.replace(/(?<=[^/])\/+$/, "");
}

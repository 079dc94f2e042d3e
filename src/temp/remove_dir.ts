/**
 * Removing directories that are empty: upwards until a boundary, and downwards a tree of nothing but directories. rmdir(2) decides
 * alone whether a directory is empty, so whoever puts a file into one in time keeps it.
 */

import { dirname } from "node:path";
import { chooseAdapter } from "../base/default_adapter.ts";
import { CrashSafeError, explainCode, MisuseError } from "../base/errors.ts";
import type { FsAdapter } from "../base/fs_adapter.ts";
import { absolutePath, pathKey } from "../base/paths.ts";
import { failedWith, StepFs } from "../base/step_fs.ts";
import { runAsync, runSync, type Steps } from "../base/steps.ts";
import { isBelow } from "../scratch/registry.ts";

/**
 * Which file system.
 *
 * @example On another file system
 * ```ts
 * import { type RemoveDirOptions } from "@crashsafe/fs";
 * import { MemoryFs } from "@crashsafe/fs/testing";
 *
 * const options: RemoveDirOptions = { adapter: new MemoryFs() };
 * console.log(options.adapter?.name); // memory
 * ```
 */
export interface RemoveDirOptions {
  /** The file system. @default the runtime's own */
  readonly adapter?: FsAdapter;
}

/**
 * Removes a directory if it is empty, and then each directory above it that became empty, up to but never including the boundary. Ends
 * without an error at the first one that is not empty: whoever put something there was quicker.
 *
 * @param dir The directory, below the boundary. Missing: an error, and nothing above it is touched.
 * @param boundary The directory that stays.
 * @param options The file system.
 * @returns The directories removed, the deepest first.
 * @throws {TypeError} The boundary does not contain the directory: nothing was touched.
 * @throws {CrashSafeError} `ENOENT` for a missing directory, or whatever else rmdir(2) says.
 *
 * @example Clean up above
 * ```ts
 * import { createDirAll, removeEmptyParents } from "@crashsafe/fs";
 * import { rmdirSync } from "node:fs";
 *
 * await createDirAll("example-top/a/b");
 * console.log((await removeEmptyParents("example-top/a/b", "example-top")).length); // 2
 * rmdirSync("example-top");
 * ```
 */
export async function removeEmptyParents(
  dir: string | URL,
  boundary: string | URL,
  options: RemoveDirOptions = {},
): Promise<readonly string[]> {
  const adapter = chooseAdapter(options.adapter);
  const upwards = new Upwards(new StepFs(adapter, "async"), dir, boundary);
  return await runAsync(collect(() => upwards.next()));
}

/**
 * {@linkcode removeEmptyParents}, done when it returns.
 *
 * @param dir The directory, below the boundary.
 * @param boundary The directory that stays.
 * @param options The file system.
 * @returns The directories removed, the deepest first.
 * @throws {CrashSafeError} As {@linkcode removeEmptyParents}.
 *
 * @example Clean up above
 * ```ts
 * import { createDirAllSync, removeEmptyParentsSync } from "@crashsafe/fs";
 * import { rmdirSync } from "node:fs";
 *
 * createDirAllSync("example-top/a");
 * removeEmptyParentsSync("example-top/a", "example-top");
 * rmdirSync("example-top");
 * ```
 */
export function removeEmptyParentsSync(
  dir: string | URL,
  boundary: string | URL,
  options: RemoveDirOptions = {},
): readonly string[] {
  return [...removingEmptyParents(dir, boundary, options)];
}

/**
 * The same as an iterator that reports each directory when it is gone. Who stops listening stops the work.
 *
 * @param dir The directory, below the boundary.
 * @param boundary The directory that stays.
 * @param options The file system.
 * @returns The directories as they go. The iteration throws what {@linkcode removeEmptyParents} throws.
 *
 * @example Watch
 * ```ts
 * import { createDirAllSync, removingEmptyParents } from "@crashsafe/fs";
 * import { rmdirSync } from "node:fs";
 *
 * createDirAllSync("example-top/a/b");
 * for (const dir of removingEmptyParents("example-top/a/b", "example-top")) console.log(dir);
 * rmdirSync("example-top");
 * ```
 */
export function* removingEmptyParents(
  dir: string | URL,
  boundary: string | URL,
  options: RemoveDirOptions = {},
): Generator<string, void> {
  const upwards = new Upwards(new StepFs(chooseAdapter(options.adapter), "sync"), dir, boundary);
  for (;;) {
    const removed = runSync(upwards.next());
    if (removed === undefined) return;
    yield removed;
  }
}

/**
 * Removes a tree in which there are only directories. Anything else in it, a symbolic link too, is an error before the first is removed.
 *
 * @param dir The top of the tree; goes as well.
 * @param options The file system.
 * @returns The directories removed, each after those in it.
 * @throws {CrashSafeError} `ENOTEMPTY` for a tree that has files: nothing was removed, unless they came meanwhile.
 *
 * @example Remove what is left of a tree
 * ```ts
 * import { createDirAll, removeEmptyTree } from "@crashsafe/fs";
 *
 * await createDirAll("example-tree/a/b");
 * console.log((await removeEmptyTree("example-tree")).length); // 3
 * ```
 */
export async function removeEmptyTree(
  dir: string | URL,
  options: RemoveDirOptions = {},
): Promise<readonly string[]> {
  const adapter = chooseAdapter(options.adapter);
  return await runAsync(emptyTree(new StepFs(adapter, "async"), absolutePath(dir, adapter)));
}

/**
 * {@linkcode removeEmptyTree}, done when it returns.
 *
 * @param dir The top of the tree; goes as well.
 * @param options The file system.
 * @returns The directories removed, each after those in it.
 * @throws {CrashSafeError} As {@linkcode removeEmptyTree}.
 *
 * @example Remove what is left of a tree
 * ```ts
 * import { createDirAllSync, removeEmptyTreeSync } from "@crashsafe/fs";
 *
 * createDirAllSync("example-tree/a/b");
 * removeEmptyTreeSync("example-tree");
 * ```
 */
export function removeEmptyTreeSync(
  dir: string | URL,
  options: RemoveDirOptions = {},
): readonly string[] {
  const adapter = chooseAdapter(options.adapter);
  return runSync(emptyTree(new StepFs(adapter, "sync"), absolutePath(dir, adapter)));
}

/** Refuses a boundary that does not contain the path. Both as text, without `..`: what is behind a symbolic link counts as where it is named. */
export function requireBelow(path: string, boundary: string): void {
  for (const one of [path, boundary]) {
    if (/(?:^|\/)\.\.(?:\/|$)/.test(one)) {
      throw new MisuseError(`A path with a boundary must not contain "..": "${one}"`);
    }
  }
  if (!isBelow(path, boundary)) {
    throw new MisuseError(`"${path}" must be contained in its boundary "${boundary}"`);
  }
}

class Upwards {
  readonly #fs: StepFs;
  readonly #boundary: string;
  #at: string;
  #first = true;

  constructor(fs: StepFs, dir: string | URL, boundary: string | URL) {
    this.#fs = fs;
    this.#at = absolutePath(dir, fs.adapter);
    this.#boundary = absolutePath(boundary, fs.adapter);
    requireBelow(this.#at, this.#boundary);
    this.#at = pathKey(this.#at);
    this.#boundary = pathKey(this.#boundary);
  }

  *next(): Steps<string | undefined> {
    while (isBelow(this.#at, this.#boundary)) {
      const dir = this.#at;
      const first = this.#first;
      try {
        yield* this.#fs.rmdir(dir);
      } catch (cause) {
        if (failedWith(cause, "ENOTEMPTY", "EEXIST")) break;
        // Above the first one another remover may have been quicker; what is above may still be empty.
        if (first || !failedWith(cause, "ENOENT")) throw cause;
        this.#at = dirname(dir);
        continue;
      }
      this.#first = false;
      this.#at = dirname(dir);
      return dir;
    }
    this.#at = this.#boundary;
    return undefined;
  }
}

function* collect(next: () => Steps<string | undefined>): Steps<readonly string[]> {
  const all: string[] = [];
  for (;;) {
    const one = yield* next();
    if (one === undefined) return all;
    all.push(one);
  }
}

/** Children first, without recursion: a tree may be deeper than a stack. */
function* emptyTree(fs: StepFs, top: string): Steps<readonly string[]> {
  const found: string[] = [];
  for (const open = [top]; open.length > 0;) {
    const dir = open.pop() ?? top;
    found.push(dir);
    for (const { name, kind } of yield* fs.readdir(dir)) {
      if (kind === "directory") {
        open.push(`${dir}/${name}`);
        continue;
      }
      throw new CrashSafeError(
        `Cannot remove the empty directories of "${top}": ${
          explainCode("ENOTEMPTY")
        }, it contains "${dir}/${name}", nothing was removed`,
        { code: "ENOTEMPTY", operation: "rmdir", path: `${dir}/${name}` },
      );
    }
  }
  for (const dir of found.reverse()) yield* fs.rmdir(dir);
  return found;
}

/**
 * Making a directory and everything above it while others remove empty directories at the same place (as the cleanup of their own
 * temporary files does). A creator walks up until a directory can be made and down again; whoever takes one away in
 * between sends it up again, until a budget is used up:
 *
 * | budget            |    | counts                                                                                       |
 * | ----------------- | -- | -------------------------------------------------------------------------------------------- |
 * | `entireDirectory` |  5 | how often it starts again because a directory that was there has gone                        |
 * | `creationFailure` | 25 | on one way up: directories that cannot be made because the one above is missing              |
 * | `interrupts`      | 10 | calls ended by a signal (EINTR)                                                              |
 *
 * A budget of N allows N such events; the next one is the error. The last two are whole again after each directory that is there.
 */

import { dirname } from "node:path";
import { makeDir } from "../base/directories.ts";
import { chooseAdapter } from "../base/default_adapter.ts";
import { CrashSafeError, explainCode, MisuseError } from "../base/errors.ts";
import { isDirectory } from "../base/file_types.ts";
import type { FsAdapter } from "../base/fs_adapter.ts";
import { absolutePath } from "../base/paths.ts";
import { failedWith, StepFs } from "../base/step_fs.ts";
import { runAsync, runSync, type Steps } from "../base/steps.ts";

/**
 * How often a creation is tried again.
 *
 * @example Never try twice
 * ```ts
 * import { type CreateDirRetries } from "@crashsafe/fs";
 *
 * const retries: CreateDirRetries = { entireDirectory: 0, creationFailure: 0, interrupts: 0 };
 * console.log(retries.interrupts); // 0
 * ```
 */
export interface CreateDirRetries {
  /** Starts from the beginning because a directory vanished. @default 5 */
  readonly entireDirectory?: number;
  /** Missing directories met on one way up. @default 25 */
  readonly creationFailure?: number;
  /** Calls that a signal ended. @default 10 */
  readonly interrupts?: number;
}

/**
 * How to make a directory.
 *
 * @example Patient beside removers
 * ```ts
 * import { type CreateDirOptions } from "@crashsafe/fs";
 *
 * const options: CreateDirOptions = { retries: { entireDirectory: 20 } };
 * console.log(options.retries?.entireDirectory); // 20
 * ```
 */
export interface CreateDirOptions {
  /** How often it is tried again. */
  readonly retries?: CreateDirRetries;
  /** The file system. @default the runtime's own */
  readonly adapter?: FsAdapter;
}

/**
 * One thing that happened while a directory was made.
 *
 * @example Step by step
 * ```ts
 * import { creatingDirAll, type CreateDirReport } from "@crashsafe/fs";
 * import { MemoryFs } from "@crashsafe/fs/testing";
 *
 * const adapter = new MemoryFs();
 * for await (const step of creatingDirAll("/a/b", { adapter })) {
 *   const { path, outcome }: CreateDirReport = step;
 *   console.log(path, outcome);
 * }
 * ```
 */
export interface CreateDirReport {
  /** The directory concerned. */
  readonly path: string;
  /** It was made; it was there already; or it could not be made yet, and the work goes on. */
  readonly outcome: "made" | "existed" | "failed";
  /** Why it failed: `"ENOENT"` or `"EINTR"`. */
  readonly code?: string;
  /** What is left of the budgets. */
  readonly retriesLeft: Required<CreateDirRetries>;
}

/**
 * Makes a directory and what is missing above it, against removers of empty directories.
 *
 * @param dir The directory.
 * @param options How often it is tried again.
 * @returns Its absolute path.
 * @throws {CrashSafeError} `ENOTDIR`: something that is no directory is in the way; `ENOENT`: removers won; or whatever mkdir(2) says.
 *
 * @example Make a deep directory
 * ```ts
 * import { createDirAll } from "@crashsafe/fs";
 * import { rmSync } from "node:fs";
 *
 * await createDirAll("example-deep/a/b");
 * rmSync("example-deep", { recursive: true });
 * ```
 */
export async function createDirAll(
  dir: string | URL,
  options: CreateDirOptions = {},
): Promise<string> {
  const creation = new DirCreation(dir, options, "async");
  for (let more = true; more;) more = (await runAsync(creation.next())) !== undefined;
  return creation.path;
}

/**
 * {@linkcode createDirAll}, done when it returns.
 *
 * @param dir The directory.
 * @param options How often it is tried again.
 * @returns Its absolute path.
 * @throws {CrashSafeError} As {@linkcode createDirAll}.
 *
 * @example Make a deep directory
 * ```ts
 * import { createDirAllSync } from "@crashsafe/fs";
 * import { rmSync } from "node:fs";
 *
 * console.log(createDirAllSync("example-deep/a/b").endsWith("/example-deep/a/b")); // true
 * rmSync("example-deep", { recursive: true });
 * ```
 */
export function createDirAllSync(dir: string | URL, options: CreateDirOptions = {}): string {
  const creation = new DirCreation(dir, options, "sync");
  while (runSync(creation.next()) !== undefined);
  return creation.path;
}

/**
 * The same as an iterator that reports each intermediate step, and with it the retries left. Who stops listening stops the work.
 *
 * @param dir The directory.
 * @param options How often it is tried again.
 * @returns Reports, until the directory is there. The iteration throws what {@linkcode createDirAll} throws.
 *
 * @example Watch
 * ```ts
 * import { creatingDirAll } from "@crashsafe/fs";
 * import { rmSync } from "node:fs";
 *
 * for (const { path, outcome } of creatingDirAll("example-deep/a")) console.log(outcome, path);
 * rmSync("example-deep", { recursive: true });
 * ```
 */
export function* creatingDirAll(
  dir: string | URL,
  options: CreateDirOptions = {},
): Generator<CreateDirReport, void> {
  const creation = new DirCreation(dir, options, "sync");
  for (;;) {
    const report = runSync(creation.next());
    if (report === undefined) return;
    yield report;
  }
}

/** The same for a function of steps. */
export function* createDir(
  fs: StepFs,
  dir: string,
  retries: CreateDirRetries | undefined,
): Steps<void> {
  const creation = new DirCreation(dir, { adapter: fs.adapter, ...(retries && { retries }) }, fs);
  while ((yield* creation.next()) !== undefined);
}

/** Checks budgets before anything happens. */
export function requireRetries(retries: CreateDirRetries): Required<CreateDirRetries> {
  const { entireDirectory = 5, creationFailure = 25, interrupts = 10 } = retries;
  for (const budget of [entireDirectory, creationFailure, interrupts]) {
    if (!Number.isInteger(budget) || budget < 0) {
      throw new MisuseError(`retries must be whole numbers of at least 0, not ${String(budget)}`);
    }
  }
  return { entireDirectory, creationFailure, interrupts };
}

class DirCreation {
  readonly path: string;
  readonly #fs: StepFs;
  readonly #budget: Required<CreateDirRetries>;
  readonly #left: { -readonly [K in keyof CreateDirRetries]-?: number };
  /** What is to be made, the deepest first. */
  readonly #missing: string[];
  /** On the way down: a directory above has been there. */
  #goingDown = false;

  constructor(dir: string | URL, options: CreateDirOptions, how: "sync" | "async" | StepFs) {
    const adapter = chooseAdapter(options.adapter);
    this.path = absolutePath(dir, adapter);
    this.#fs = typeof how === "string" ? new StepFs(adapter, how) : how;
    this.#budget = requireRetries(options.retries ?? {});
    this.#left = { ...this.#budget };
    this.#missing = [this.path];
  }

  /** One call of mkdir(2). Answers undefined when all is done. */
  *next(): Steps<CreateDirReport | undefined> {
    const dir = this.#missing.at(-1);
    if (dir === undefined) return undefined;
    try {
      const made = yield* makeDir(this.#fs, dir);
      if (!made && !(yield* this.#isThere(dir))) return this.#vanished(dir);
      this.#missing.pop();
      this.#goingDown = true;
      this.#left.creationFailure = this.#budget.creationFailure;
      this.#left.interrupts = this.#budget.interrupts;
      return this.#report(dir, made ? "made" : "existed");
    } catch (cause) {
      if (failedWith(cause, "EINTR")) {
        if (this.#left.interrupts-- <= 0) {
          throw this.#failed(dir, cause, `after ${this.#budget.interrupts} retries`);
        }
        return this.#report(dir, "failed", "EINTR");
      }
      if (failedWith(cause, "ENOENT") && dirname(dir) !== dir) return this.#above(dir, cause);
      throw cause;
    }
  }

  /** What is above is missing: one level up, or up again. */
  #above(dir: string, cause: CrashSafeError): CreateDirReport {
    if (this.#goingDown) this.#startAgain(dir, cause);
    if (this.#left.creationFailure-- <= 0) {
      throw this.#failed(
        dir,
        cause,
        `${this.#budget.creationFailure} directories below it are missing as well`,
      );
    }
    this.#missing.push(dirname(dir));
    return this.#report(dir, "failed", "ENOENT");
  }

  /** mkdir said that it exists, and then it was gone. */
  #vanished(dir: string): CreateDirReport {
    this.#startAgain(dir, undefined);
    return this.#report(dir, "failed", "ENOENT");
  }

  #startAgain(dir: string, cause: CrashSafeError | undefined): void {
    if (this.#left.entireDirectory-- <= 0) {
      const times = this.#budget.entireDirectory + 1;
      throw this.#failed(dir, cause, `somebody removed directories ${times} times meanwhile`);
    }
    this.#goingDown = false;
    this.#left.creationFailure = this.#budget.creationFailure;
  }

  *#isThere(dir: string): Steps<boolean> {
    const stat = yield* this.#fs.stat(dir);
    if (stat !== undefined && isDirectory(stat)) return true;
    // A symbolic link that leads nowhere is in the way, too.
    if (stat === undefined && (yield* this.#fs.lstat(dir)) === undefined) return false;
    throw new CrashSafeError(
      `Cannot make the directory "${dir}": ${explainCode("ENOTDIR")}, it is in the way`,
      { code: "ENOTDIR", operation: "mkdir", path: dir },
    );
  }

  #report(
    path: string,
    outcome: CreateDirReport["outcome"],
    code?: string,
  ): CreateDirReport {
    return {
      path,
      outcome,
      ...(code === undefined ? {} : { code }),
      retriesLeft: { ...this.#left },
    };
  }

  #failed(dir: string, cause: CrashSafeError | undefined, why: string): CrashSafeError {
    const code = cause?.code ?? "ENOENT";
    return new CrashSafeError(
      `Cannot make the directory "${dir}": ${explainCode(code)}, ${why}`,
      { code, operation: "mkdir", path: dir, cause: cause?.cause },
    );
  }
}

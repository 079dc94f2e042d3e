/**
 * Temporary files with a type for each of their states:
 *
 *     createTempFile, tempFileAt ──▶ WritableTempFile ── close ──▶ ClosedTempFile ◀── markTempFileAt
 *                                          │                            │
 *                                          └──── persist │ take │ dispose ────▶ (no handle any more)
 *
 * Until one of these ends they are in the registry: a cleanup, and a signal where handlers are installed, removes them.
 */

import { chooseAdapter } from "../base/default_adapter.ts";
import { MisuseError } from "../base/errors.ts";
import { absoluteFilePath, absolutePath, nameOf } from "../base/paths.ts";
import { StepFs } from "../base/step_fs.ts";
import { runAsync, runSync, type Steps } from "../base/steps.ts";
import { type AtomicWriteOptions, requireCapabilities, resolveOptions } from "../atomic/options.ts";
import { toBytes, type WriteData } from "../atomic/data.ts";
import type { Receipt } from "../atomic/receipt.ts";
import { createAt, createRandom } from "./create_temp.ts";
import { withHandle } from "./persist_error.ts";
import { type SeekFrom, TempCore } from "./temp_core.ts";
import { resolveTempOptions, type TempFileOptions } from "./temp_options.ts";

/**
 * How to make a temporary file whose name is chosen here.
 *
 * @example With a name that people recognise
 * ```ts
 * import { type RandomTempFileOptions } from "@crashsafe/fs";
 *
 * const options: RandomTempFileOptions = { prefix: "upload", mode: 0o600 };
 * console.log(options.prefix);
 * ```
 */
export interface RandomTempFileOptions extends TempFileOptions {
  /** The beginning of its name, after a dot. @default "tmp" */
  readonly prefix?: string;
}

/**
 * How to publish a temporary file: as an AtomicFile is, with the same defaults (but `parents`, which must exist).
 *
 * @example For everybody to read
 * ```ts
 * import { type PersistOptions } from "@crashsafe/fs";
 *
 * const options: PersistOptions = { mode: 0o644, existing: "fail" };
 * console.log(options.existing);
 * ```
 */
export type PersistOptions = Omit<AtomicWriteOptions, "hash" | "onProgress" | "adapter">;

/** What stands behind each handle that is not used up; apart, so that the types of the handles say nothing of it. */
const cores = new WeakMap<TempFile, TempCore>();

function coreOf(file: TempFile): TempCore {
  const core = cores.get(file);
  if (core !== undefined) return core;
  throw new MisuseError(`"${file.path}" was closed: use the ClosedTempFile that close() answered`);
}

/** The core, which belongs to another handle from now on. */
function released(file: TempFile): TempCore {
  const core = coreOf(file);
  cores.delete(file);
  return core;
}

/**
 * What both states of a temporary file can do.
 *
 * @example In either state
 * ```ts
 * import { createTempFile, markTempFileAt, type TempFile } from "@crashsafe/fs";
 * import { mkdtempSync, rmSync } from "node:fs";
 *
 * const dir = mkdtempSync("example-");
 * const files: TempFile[] = [await createTempFile(dir), await markTempFileAt(`${dir}/marker`)];
 * for (const file of files) await file.dispose();
 * rmSync(dir, { recursive: true });
 * ```
 */
export abstract class TempFile {
  /** Where it is, absolute. */
  readonly path: string;
  /** Its number in the registry, never used again. */
  readonly id: number;

  /** Made by the functions of this module. */
  protected constructor(core: unknown) {
    const { path, entry } = core as TempCore;
    this.path = path;
    this.id = entry.id;
    cores.set(this, core as TempCore);
  }

  /**
   * Publishes the file under another name of the same file system: all or nothing, durable before the promise resolves. An existing target's
   * mode and owner are kept; a new one keeps the mode of the temporary file. Ends the handle.
   *
   * @param target Where to.
   * @param options As for `atomicWrite`.
   * @returns What was achieved.
   * @throws {PersistError} Nothing was published; the error has the handle, which is usable. Code `EXDEV`: same file system needed.
   * @throws {DurabilityUnknownError} It is published, but may not survive a power cut.
   * @throws {CrashSafeError} `ENOENT`: a cleanup has removed the file.
   *
   * @example Publish when all is well
   * ```ts
   * import { createTempFile } from "@crashsafe/fs";
   * import { mkdtempSync, rmSync } from "node:fs";
   *
   * const dir = mkdtempSync("example-");
   * const file = await createTempFile(dir);
   * await file.write("checked");
   * await file.persist(`${dir}/result`, { mode: 0o644 });
   * rmSync(dir, { recursive: true });
   * ```
   */
  async persist(target: string | URL, options: PersistOptions = {}): Promise<Receipt> {
    const persisting = this.#persisting("async", target, options);
    try {
      return await runAsync(persisting);
    } catch (cause) {
      throw withHandle(cause, this);
    }
  }

  /**
   * {@linkcode TempFile.persist}, done when it returns.
   *
   * @param target Where to.
   * @param options As for `atomicWriteSync`.
   * @returns What was achieved.
   * @throws {PersistError} And all others of {@linkcode TempFile.persist}.
   */
  persistSync(target: string | URL, options: PersistOptions = {}): Receipt {
    const persisting = this.#persisting("sync", target, options);
    try {
      return runSync(persisting);
    } catch (cause) {
      throw withHandle(cause, this);
    }
  }

  /**
   * Keeps the file where it is: it is not temporary any more. Ends the handle.
   *
   * @returns Its path.
   */
  async take(): Promise<string> {
    const core = coreOf(this);
    return await runAsync(core.take(new StepFs(core.adapter, "async")));
  }

  /**
   * {@linkcode TempFile.take}, done when it returns.
   *
   * @returns Its path.
   */
  takeSync(): string {
    const core = coreOf(this);
    return runSync(core.take(new StepFs(core.adapter, "sync")));
  }

  /** Removes the file and, if that was asked for, its empty parents. A second call does nothing. */
  async dispose(): Promise<void> {
    const core = cores.get(this);
    if (core !== undefined) await runAsync(core.dispose(new StepFs(core.adapter, "async")));
  }

  /** {@linkcode TempFile.dispose}, done when it returns; while an asynchronous operation runs: done at its end. */
  disposeSync(): void {
    const core = cores.get(this);
    if (core !== undefined) runSync(core.dispose(new StepFs(core.adapter, "sync")));
  }

  /** Disposes, for `using`. */
  [Symbol.dispose](): void {
    this.disposeSync();
  }

  /** Disposes, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  #persisting(
    colour: "sync" | "async",
    target: string | URL,
    options: PersistOptions,
  ): Steps<Receipt> {
    const core = coreOf(this);
    const resolved = resolveOptions(options, "require");
    const path = absoluteFilePath(target, core.adapter);
    requireCapabilities(core.adapter, path, resolved);
    return core.persist(new StepFs(core.adapter, colour), path, resolved);
  }
}

/**
 * A temporary file that is open for reading and writing. Its position begins at 0 and moves with both.
 *
 * @example Write, go back, read
 * ```ts
 * import { createTempFileSync } from "@crashsafe/fs";
 * import { mkdtempSync, rmSync } from "node:fs";
 *
 * const dir = mkdtempSync("example-");
 * const file = createTempFileSync(dir);
 * file.writeSync("draft");
 * file.seekSync(0);
 * const bytes = new Uint8Array(5);
 * console.log(file.readSync(bytes), new TextDecoder().decode(bytes)); // 5 draft
 * file.disposeSync();
 * rmSync(dir, { recursive: true });
 * ```
 */
export class WritableTempFile extends TempFile {
  /** Made by {@linkcode createTempFile} and {@linkcode tempFileAt}. */
  constructor(core: unknown) {
    super(core);
  }

  /**
   * Writes all of the data at the position.
   *
   * @param data Text (as UTF-8) or bytes, which must not change until the promise resolves.
   * @throws {CrashSafeError} With the errno; the position is behind the last byte written.
   */
  async write(data: WriteData): Promise<void> {
    const core = coreOf(this);
    await runAsync(core.write(new StepFs(core.adapter, "async"), toBytes(data)));
  }

  /**
   * {@linkcode WritableTempFile.write}, done when it returns.
   *
   * @param data Text (as UTF-8) or bytes.
   */
  writeSync(data: WriteData): void {
    const core = coreOf(this);
    runSync(core.write(new StepFs(core.adapter, "sync"), toBytes(data)));
  }

  /**
   * Reads from the position on.
   *
   * @param buffer Is filled from its beginning.
   * @returns How many bytes there were; 0 at the end of the file.
   */
  async read(buffer: Uint8Array): Promise<number> {
    const core = coreOf(this);
    return await runAsync(core.read(new StepFs(core.adapter, "async"), bufferOf(buffer)));
  }

  /**
   * {@linkcode WritableTempFile.read}, done when it returns.
   *
   * @param buffer Is filled from its beginning.
   * @returns How many bytes there were; 0 at the end of the file.
   */
  readSync(buffer: Uint8Array): number {
    const core = coreOf(this);
    return runSync(core.read(new StepFs(core.adapter, "sync"), bufferOf(buffer)));
  }

  /**
   * Moves the position; behind the end is allowed, and leaves a hole when something is written there.
   *
   * @param offset Bytes.
   * @param from From where they count.
   * @returns The new position.
   */
  async seek(offset: number, from: SeekFrom = "start"): Promise<number> {
    const core = coreOf(this);
    return await runAsync(core.seek(new StepFs(core.adapter, "async"), offset, from));
  }

  /**
   * {@linkcode WritableTempFile.seek}, done when it returns.
   *
   * @param offset Bytes.
   * @param from From where they count.
   * @returns The new position.
   */
  seekSync(offset: number, from: SeekFrom = "start"): number {
    const core = coreOf(this);
    return runSync(core.seek(new StepFs(core.adapter, "sync"), offset, from));
  }

  /**
   * Several operations during which no cleanup takes the file away, unless the process ends.
   *
   * @param use Gets this handle. It must not close, persist, take or dispose of it.
   * @returns What `use` answers.
   */
  async withFile<T>(use: (file: this) => T | PromiseLike<T>): Promise<T> {
    const leave = coreOf(this).enter();
    try {
      return await use(this);
    } finally {
      leave();
    }
  }

  /**
   * {@linkcode WritableTempFile.withFile}, done when it returns.
   *
   * @param use Gets this handle.
   * @returns What `use` answers.
   */
  withFileSync<T>(use: (file: this) => T): T {
    const leave = coreOf(this).enter();
    try {
      return use(this);
    } finally {
      leave();
    }
  }

  /**
   * Ends the writing and keeps the file. This handle is used up, the one answered goes on.
   *
   * @returns The handle of the closed file.
   * @throws {CrashSafeError} What close(2) says (EIO, EDQUOT on NFS); this handle can still be disposed of.
   */
  async close(): Promise<ClosedTempFile> {
    const core = coreOf(this);
    await runAsync(core.close(new StepFs(core.adapter, "async")));
    return new ClosedTempFile(released(this));
  }

  /**
   * {@linkcode WritableTempFile.close}, done when it returns.
   *
   * @returns The handle of the closed file.
   */
  closeSync(): ClosedTempFile {
    const core = coreOf(this);
    runSync(core.close(new StepFs(core.adapter, "sync")));
    return new ClosedTempFile(released(this));
  }
}

/**
 * A temporary file that nobody writes to any more. One of {@linkcode createTempFile} keeps the lock that says its process lives.
 *
 * @example Hand it to another program
 * ```ts
 * import { createTempFile } from "@crashsafe/fs";
 * import { mkdtempSync, readFileSync, rmSync } from "node:fs";
 *
 * const dir = mkdtempSync("example-");
 * const file = await createTempFile(dir);
 * await file.write("for somebody else");
 * await using closed = await file.close();
 * console.log(readFileSync(closed.path, "utf8")); // for somebody else
 * await closed.dispose();
 * rmSync(dir, { recursive: true });
 * ```
 */
export class ClosedTempFile extends TempFile {
  /** Made by {@linkcode WritableTempFile.close} and {@linkcode markTempFileAt}. */
  constructor(core: unknown) {
    super(core);
  }
}

/**
 * Makes a temporary file in a directory, under a name that nobody can guess: `.tmp.<26 characters>.cs1l`. A file that a killed process
 * leaves is recognised by `findOrphans`.
 *
 * @param dir Where.
 * @param options What to do about directories, and the mode.
 * @returns The file, open.
 * @throws {CrashSafeError} With the errno: nothing was made.
 * @throws {TypeError} For misuse, such as a boundary that does not contain the file: nothing was touched.
 *
 * @example Write, look, publish
 * ```ts
 * import { createTempFile } from "@crashsafe/fs";
 * import { mkdtempSync, rmSync } from "node:fs";
 *
 * const dir = mkdtempSync("example-");
 * const file = await createTempFile(dir);
 * await file.write("draft");
 * await file.persist(`${dir}/letter.txt`);
 * rmSync(dir, { recursive: true });
 * ```
 */
export async function createTempFile(
  dir: string | URL,
  options: RandomTempFileOptions = {},
): Promise<WritableTempFile> {
  return new WritableTempFile(await runAsync(random("async", dir, options)));
}

/**
 * {@linkcode createTempFile}, done when it returns.
 *
 * @param dir Where.
 * @param options What to do about directories, and the mode.
 * @returns The file, open.
 *
 * @example Gone at the end of the block
 * ```ts
 * import { createTempFileSync } from "@crashsafe/fs";
 * import { mkdtempSync, readdirSync, rmdirSync } from "node:fs";
 *
 * const dir = mkdtempSync("example-");
 * const file = createTempFileSync(dir); // or: using file = …
 * file.writeSync("scratch");
 * file.disposeSync();
 * console.log(readdirSync(dir).length); // 0
 * rmdirSync(dir);
 * ```
 */
export function createTempFileSync(
  dir: string | URL,
  options: RandomTempFileOptions = {},
): WritableTempFile {
  return new WritableTempFile(runSync(random("sync", dir, options)));
}

/**
 * Makes a temporary file under a name of your own, which must be free. No sweep recognises it: a killed process leaves it, as git leaves its locks.
 *
 * @param path The file.
 * @param options What to do about directories, and the mode.
 * @returns The file, open.
 * @throws {CrashSafeError} `EEXIST` when something has this name, else the errno: nothing was made.
 *
 * @example A name that others look at
 * ```ts
 * import { tempFileAt } from "@crashsafe/fs";
 *
 * const file = await tempFileAt("example.pid");
 * await file.write("1234");
 * await file.dispose();
 * ```
 */
export async function tempFileAt(
  path: string | URL,
  options: TempFileOptions = {},
): Promise<WritableTempFile> {
  return new WritableTempFile(await runAsync(named("async", path, options)));
}

/**
 * {@linkcode tempFileAt}, done when it returns.
 *
 * @param path The file.
 * @param options What to do about directories, and the mode.
 * @returns The file, open.
 *
 * @example With its directory
 * ```ts
 * import { tempFileAtSync } from "@crashsafe/fs";
 * import { mkdtempSync, rmdirSync } from "node:fs";
 *
 * const dir = mkdtempSync("example-");
 * tempFileAtSync(`${dir}/a/b/file`, {
 *   containingDirectory: "create",
 *   autoRemove: { emptyParentsUntil: dir },
 * }).disposeSync();
 * rmdirSync(dir); // empty again
 * ```
 */
export function tempFileAtSync(
  path: string | URL,
  options: TempFileOptions = {},
): WritableTempFile {
  return new WritableTempFile(runSync(named("sync", path, options)));
}

/**
 * Makes an empty temporary file under a name of your own and closes it: a mark.
 *
 * @param path The file.
 * @param options What to do about directories, and the mode.
 * @returns The file, closed.
 * @throws {CrashSafeError} `EEXIST` when something has this name, else the errno: nothing was made.
 *
 * @example Say that one is here
 * ```ts
 * import { markTempFileAt } from "@crashsafe/fs";
 *
 * const mark = await markTempFileAt("example.running");
 * await mark.dispose();
 * ```
 */
export async function markTempFileAt(
  path: string | URL,
  options: TempFileOptions = {},
): Promise<ClosedTempFile> {
  return await (await tempFileAt(path, options)).close();
}

/**
 * {@linkcode markTempFileAt}, done when it returns.
 *
 * @param path The file.
 * @param options What to do about directories, and the mode.
 * @returns The file, closed.
 *
 * @example Say that one is here
 * ```ts
 * import { markTempFileAtSync } from "@crashsafe/fs";
 *
 * markTempFileAtSync("example.running").disposeSync();
 * ```
 */
export function markTempFileAtSync(
  path: string | URL,
  options: TempFileOptions = {},
): ClosedTempFile {
  return tempFileAtSync(path, options).closeSync();
}

function* random(
  colour: "sync" | "async",
  dir: string | URL,
  options: RandomTempFileOptions,
): Steps<TempCore> {
  const { prefix = "tmp" } = options;
  const directory = absolutePath(dir, chooseAdapter(options.adapter));
  if (typeof prefix !== "string" || /[/\\\0]/.test(prefix) || !prefix.isWellFormed()) {
    throw new MisuseError(`prefix must be a part of a name, not ${JSON.stringify(prefix)}`);
  }
  const o = resolveTempOptions(options, `${directory.replace(/\/+$/, "")}/${prefix}.tmp`);
  const fs = new StepFs(o.adapter, colour);
  return new TempCore(fs, yield* createRandom(fs, directory, prefix || "tmp", o));
}

function* named(
  colour: "sync" | "async",
  path: string | URL,
  options: TempFileOptions,
): Steps<TempCore> {
  const file = absoluteFilePath(path, chooseAdapter(options.adapter));
  const o = resolveTempOptions(options, file);
  const fs = new StepFs(o.adapter, colour);
  return new TempCore(fs, yield* createAt(fs, file, o));
}

function bufferOf(buffer: unknown): Uint8Array {
  if (buffer instanceof Uint8Array) return buffer;
  throw new MisuseError(`read wants a Uint8Array, not ${nameOf(buffer)}`);
}

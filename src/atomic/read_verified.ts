/** Reading a file only if it is what it should be. */

import { chooseAdapter } from "../base/default_adapter.ts";
import { CrashSafeError, MisuseError } from "../base/errors.ts";
import type { FsAdapter } from "../base/fs_adapter.ts";
import { absoluteFilePath, nameOf } from "../base/paths.ts";
import { StepFs } from "../base/step_fs.ts";
import { runAsync, runSync, type Steps } from "../base/steps.ts";
import {
  type Digest,
  type HashAlgorithm,
  startDigest,
  verifyDigest,
  type WantedHash,
  wantedHash,
} from "../hash/digest.ts";
import { requireSignal, throwIfAborted } from "../base/abort.ts";
import { readWhole } from "./input_file.ts";

/**
 * Options of {@linkcode readVerified}.
 *
 * @example Another algorithm
 * ```ts
 * import { type ReadVerifiedOptions } from "@crashsafe/fs";
 *
 * const options: ReadVerifiedOptions = { algorithm: "sha256" };
 * console.log(options.algorithm);
 * ```
 */
export interface ReadVerifiedOptions {
  /**
   * The hash that the digest is of.
   * @default "xxh3-128"
   */
  readonly algorithm?: HashAlgorithm;
  /** Ends an asynchronous read with `signal.reason` itself; a synchronous one looks at it once, at its start. */
  readonly signal?: AbortSignal;
  /** A file system other than the runtime's own. */
  readonly adapter?: FsAdapter;
}

/**
 * Reads a whole regular file and returns its bytes only if they have the digest.
 *
 * @param path The file to read; symbolic links are followed.
 * @param digest Hexadecimal in any case, the bytes of the digest, or a Subresource Integrity string.
 * @param options The hash algorithm, or an object with it and an adapter.
 * @returns The verified bytes.
 * @throws {HashMismatchError} When the content is another one.
 * @throws {CrashSafeError} When the file cannot be read; `code` says why.
 * @throws {TypeError} For misuse.
 *
 * @example Read back what was written
 * ```ts
 * import { atomicWrite, readVerified } from "@crashsafe/fs";
 * import { mkdtempSync, rmSync } from "node:fs";
 *
 * const dir = mkdtempSync("example-");
 * await atomicWrite(`${dir}/empty`, "");
 * const bytes = await readVerified(`${dir}/empty`, "99aa06d3014798d86001c324468d497f");
 * console.log(bytes.length);
 * rmSync(dir, { recursive: true });
 * ```
 */
export async function readVerified(
  path: string | URL,
  digest: Digest,
  options: HashAlgorithm | ReadVerifiedOptions = {},
): Promise<Uint8Array> {
  const { adapter, target, wanted, signal } = resolve(path, digest, options);
  return await runAsync(readSteps(new StepFs(adapter, "async"), target, wanted, signal));
}

/**
 * {@linkcode readVerified}, done when it returns.
 *
 * @param path The file to read; symbolic links are followed.
 * @param digest Hexadecimal in any case, the bytes of the digest, or a Subresource Integrity string.
 * @param options The hash algorithm, or an object with it and an adapter.
 * @returns The verified bytes.
 * @throws {HashMismatchError} And all others of {@linkcode readVerified}.
 *
 * @example Refuse a file that somebody touched
 * ```ts
 * import { atomicWriteSync, readVerifiedSync } from "@crashsafe/fs";
 * import { mkdtempSync, rmSync } from "node:fs";
 *
 * const dir = mkdtempSync("example-");
 * atomicWriteSync(`${dir}/file`, "not empty");
 * try {
 *   readVerifiedSync(`${dir}/file`, "99aa06d3014798d86001c324468d497f");
 * } catch (error) {
 *   console.log((error as { code: string }).code); // HashMismatch
 * }
 * rmSync(dir, { recursive: true });
 * ```
 */
export function readVerifiedSync(
  path: string | URL,
  digest: Digest,
  options: HashAlgorithm | ReadVerifiedOptions = {},
): Uint8Array {
  const { adapter, target, wanted, signal } = resolve(path, digest, options);
  return runSync(readSteps(new StepFs(adapter, "sync"), target, wanted, signal));
}

function resolve(
  path: string | URL,
  digest: Digest,
  options: HashAlgorithm | ReadVerifiedOptions,
): {
  readonly adapter: FsAdapter;
  readonly target: string;
  readonly wanted: WantedHash;
  readonly signal: AbortSignal | undefined;
} {
  const { algorithm, adapter: own, signal } = readOptions(options);
  const adapter = chooseAdapter(own);
  return {
    adapter,
    target: absoluteFilePath(path, adapter),
    wanted: wantedHash(digest, algorithm),
    signal,
  };
}

/** Options that may be given as the algorithm alone. */
export function readOptions(options: HashAlgorithm | ReadVerifiedOptions): ReadVerifiedOptions {
  const complete = typeof options === "string" ? { algorithm: options } : options;
  if (typeof complete !== "object" || complete === null) {
    throw new MisuseError(`Options must be an object or an algorithm, not ${nameOf(complete)}`);
  }
  requireSignal(complete.signal);
  return complete;
}

function* readSteps(
  fs: StepFs,
  path: string,
  wanted: WantedHash,
  signal: AbortSignal | undefined,
): Steps<Uint8Array> {
  try {
    throwIfAborted(signal);
    const digest = yield* startDigest(fs, wanted.algorithm, undefined, path);
    const bytes = yield* readWhole(fs, path, signal);
    digest.update(bytes);
    verifyDigest(path, wanted, digest.hex(), "no bytes were returned");
    return bytes;
  } catch (cause) {
    // readWhole names the system call; the caller asked for a file.
    if (!(cause instanceof CrashSafeError) || cause.operation === "verify") throw cause;
    throw new CrashSafeError(`${cause.message}, no bytes were returned`, cause);
  }
}

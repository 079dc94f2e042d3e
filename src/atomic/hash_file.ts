/** The digest of a file, or of anything that can be streamed. */

import { chooseAdapter } from "../base/default_adapter.ts";
import { absoluteFilePath } from "../base/paths.ts";
import { StepFs } from "../base/step_fs.ts";
import { runAsync, runSync, type Steps } from "../base/steps.ts";
import {
  type DigestStream,
  type HashAlgorithm,
  requireKnown,
  startDigest,
} from "../hash/digest.ts";
import { throwIfAborted } from "../base/abort.ts";
import { openInput } from "./input_file.ts";
import { readOptions, type ReadVerifiedOptions } from "./read_verified.ts";
import { type StreamData, streamSource } from "./stream_source.ts";
import type { Sink } from "./temp_sibling.ts";

/**
 * Computes the digest of a regular file, in bounded memory.
 *
 * @param path The file to read; symbolic links are followed.
 * @param options The hash algorithm (xxh3-128 when left out), or an object with it and an adapter.
 * @returns The digest in lower-case hexadecimal, as `xxhsum -H2`, `sha256sum`, `sha512sum` or `b3sum` prints it.
 * @throws {CrashSafeError} When the file cannot be read; `code` says why.
 * @throws {TypeError} For misuse.
 *
 * @example Remember what a file was
 * ```ts
 * import { atomicWrite, hashFile, readVerified } from "@crashsafe/fs";
 * import { mkdtempSync, rmSync } from "node:fs";
 *
 * const dir = mkdtempSync("example-");
 * await atomicWrite(`${dir}/file`, "content");
 * const digest = await hashFile(`${dir}/file`);
 * console.log((await readVerified(`${dir}/file`, digest)).length);
 * rmSync(dir, { recursive: true });
 * ```
 */
export async function hashFile(
  path: string | URL,
  options: HashAlgorithm | ReadVerifiedOptions = {},
): Promise<string> {
  const { fs, target, algorithm, signal } = resolve("async", path, options);
  return await runAsync(hashSteps(fs, target, algorithm, signal));
}

/**
 * {@linkcode hashFile}, done when it returns.
 *
 * @param path The file to read; symbolic links are followed.
 * @param options The hash algorithm (xxh3-128 when left out), or an object with it and an adapter.
 * @returns The digest in lower-case hexadecimal.
 * @throws {CrashSafeError} And all others of {@linkcode hashFile}.
 *
 * @example Print a digest
 * ```ts
 * import { atomicWriteSync, hashFileSync } from "@crashsafe/fs";
 * import { mkdtempSync, rmSync } from "node:fs";
 *
 * const dir = mkdtempSync("example-");
 * atomicWriteSync(`${dir}/empty`, "");
 * console.log(hashFileSync(`${dir}/empty`)); // 99aa06d3014798d86001c324468d497f
 * rmSync(dir, { recursive: true });
 * ```
 */
export function hashFileSync(
  path: string | URL,
  options: HashAlgorithm | ReadVerifiedOptions = {},
): string {
  const { fs, target, algorithm, signal } = resolve("sync", path, options);
  return runSync(hashSteps(fs, target, algorithm, signal));
}

/**
 * Computes the digest of a stream.
 *
 * @param data What {@linkcode AtomicFile.stream} can read.
 * @param options The hash algorithm (xxh3-128 when left out), or an object with it and a signal.
 * @returns The digest in lower-case hexadecimal.
 * @throws {TypeError} For misuse, and when the source yields anything but bytes or strings.
 *
 * @example Hash a response body
 * ```ts
 * import { hashStream } from "@crashsafe/fs";
 *
 * console.log(await hashStream(new Response(""))); // 99aa06d3014798d86001c324468d497f
 * ```
 */
export async function hashStream(
  data: StreamData,
  options: HashAlgorithm | ReadVerifiedOptions = {},
): Promise<string> {
  const { algorithm = "xxh3-128", adapter, signal } = readOptions(options);
  requireKnown(algorithm);
  const fs = new StepFs(chooseAdapter(adapter), "async");
  const source = streamSource(data, "a digest");
  let failure: unknown;
  try {
    return await runAsync((function* (): Steps<string> {
      const digest = yield* startDigest(fs, algorithm, undefined, "a stream");
      const { pour } = yield* source.open(fs);
      yield* pour(digestSink(digest), signal);
      return digest.hex();
    })());
  } catch (cause) {
    failure = cause;
    throw cause;
  } finally {
    source.release?.(failure);
  }
}

function resolve(
  colour: "sync" | "async",
  path: string | URL,
  options: HashAlgorithm | ReadVerifiedOptions,
): {
  readonly fs: StepFs;
  readonly target: string;
  readonly algorithm: HashAlgorithm;
  readonly signal: AbortSignal | undefined;
} {
  const { algorithm = "xxh3-128", adapter: own, signal } = readOptions(options);
  requireKnown(algorithm);
  const adapter = chooseAdapter(own);
  return {
    fs: new StepFs(adapter, colour),
    target: absoluteFilePath(path, adapter),
    algorithm,
    signal,
  };
}

function* hashSteps(
  fs: StepFs,
  path: string,
  algorithm: HashAlgorithm,
  signal: AbortSignal | undefined,
): Steps<string> {
  throwIfAborted(signal);
  const input = yield* openInput(fs, path);
  try {
    const digest = yield* startDigest(fs, algorithm, input.size, path);
    yield* input.pour(digestSink(digest), signal);
    return digest.hex();
  } finally {
    yield* input.close();
  }
}

function digestSink(digest: DigestStream): Sink {
  return {
    *write(chunk) {
      digest.update(chunk);
    },
  };
}

/** The builder of an atomic write. */

import { absoluteFilePath, absolutePath } from "../base/paths.ts";
import { chooseAdapter } from "../base/default_adapter.ts";
import type { FsAdapter } from "../base/fs_adapter.ts";
import { MisuseError } from "../base/errors.ts";
import { nameOf } from "../base/paths.ts";
import type { Digest, HashAlgorithm } from "../hash/digest.ts";
import { toBytes, type WriteData } from "./data.ts";
import { type AtomicWriteOptions, type Mtime, resolveOptions } from "./options.ts";
import { publishAsync, publishSync } from "./publish_call.ts";
import type { Receipt } from "./receipt.ts";
import { iterableSource, type StreamData, streamSource } from "./stream_source.ts";
import { openWritable, type WritableFile } from "./writable_source.ts";
import {
  bytesSource,
  callbackSource,
  callbackSourceSync,
  type FileSink,
  type FileSinkSync,
  fileSource,
  filesSource,
  type Source,
} from "./sources.ts";

/**
 * A file that will be published whole or not at all. Building one touches nothing; a terminal (write, stream, copyFrom,
 * concatFrom, writeWith, their Sync twins, and writable) does the work and can be called any number of times.
 *
 * All terminals throw alike:
 * - TypeError for misuse, {@linkcode UnsupportedError} for what cannot be done here: nothing was touched.
 * - {@linkcode PublishError} or {@linkcode HashMismatchError}: nothing was published, the old file is as it was.
 * - {@linkcode DurabilityUnknownError}: the new content is in place, but making it durable failed.
 *
 * A replace gives the path a new inode. Mode, and where permitted owner and group, are kept. Extended attributes, ACLs
 * and other hard links of the old file are not (rename(2) replaces a name, not a file).
 *
 * @example Publish verified bytes with a modification time
 * ```ts
 * import { AtomicFile } from "@crashsafe/fs";
 * import { mkdtempSync, rmSync } from "node:fs";
 *
 * const dir = mkdtempSync("example-");
 * const receipt = await new AtomicFile(`${dir}/cache/greeting.txt`)
 *   .withHash("b5e9c1ad071b3e7fc779cfa5e523818c")
 *   .withMtime(new Date("2024-05-01"))
 *   .write("hello world").catch((error) => error.code);
 * console.log(receipt);
 * rmSync(dir, { recursive: true });
 * ```
 */
export class AtomicFile {
  readonly #target: string;
  readonly #options: AtomicWriteOptions;
  readonly #adapter: FsAdapter;

  /**
   * Remembers what to publish, and touches nothing.
   *
   * @param target The file to publish; a relative path is made absolute now.
   * @param options See {@linkcode AtomicWriteOptions}; missing parent directories are made by default.
   * @throws {TypeError} When the path cannot name a file, or an option makes no sense.
   */
  constructor(target: string | URL, options: AtomicWriteOptions = {}) {
    const { hash, mtimeNs } = resolveOptions(options, "create");
    this.#options = Object.freeze({
      ...options,
      // A Date or the bytes of a digest may change later; the builder must not.
      ...(hash === undefined ? {} : { hash: { digest: hash.hex, algorithm: hash.algorithm } }),
      ...(mtimeNs === undefined ? {} : { mtime: mtimeNs }),
    });
    this.#adapter = chooseAdapter(options.adapter);
    this.#target = absoluteFilePath(target, this.#adapter);
  }

  /** The absolute path that this builder publishes to. */
  get path(): string {
    return this.#target;
  }

  /**
   * Publishes only bytes that have this digest.
   *
   * @param digest Hexadecimal in any case, the bytes of the digest, or a Subresource Integrity string.
   * @param algorithm The hash. `sha256-…` strings name theirs themselves.
   * @returns A new builder.
   * @throws {TypeError} When that is no digest of this algorithm.
   */
  withHash(digest: Digest, algorithm: HashAlgorithm = "xxh3-128"): AtomicFile {
    return this.#with({ hash: { digest, algorithm } });
  }

  /**
   * Publishes the file with this modification time.
   *
   * @param mtime A `Date`, milliseconds, nanoseconds as a bigint, or a `Temporal.Instant`, since 1970.
   * @returns A new builder.
   * @throws {TypeError} When that is no time.
   */
  withMtime(mtime: Mtime): AtomicFile {
    return this.#with({ mtime });
  }

  /**
   * Publishes bytes or text from memory. A digest is verified before anything is touched.
   *
   * @param data Text (as UTF-8) or bytes, which must not change until the promise resolves.
   */
  async write(data: WriteData): Promise<Receipt> {
    return await this.#publish(bytesSource(toBytes(data)));
  }

  /** Publishes bytes or text from memory, before it returns; see {@linkcode write}. */
  writeSync(data: WriteData): Receipt {
    return this.#publishSync(bytesSource(toBytes(data)));
  }

  /**
   * Publishes a copy of another file's content. The source is opened before anything is touched.
   *
   * @param source A regular file; symbolic links are followed.
   */
  async copyFrom(source: string | URL): Promise<Receipt> {
    return await this.#publish(fileSource(absolutePath(source, this.#adapter)));
  }

  /** Publishes a copy of another file's content, before it returns; see {@linkcode copyFrom}. */
  copyFromSync(source: string | URL): Receipt {
    return this.#publishSync(fileSource(absolutePath(source, this.#adapter)));
  }

  /**
   * Publishes the contents of files, one after the other. All are looked at before anything is touched.
   *
   * @param sources Regular files, in order; none makes an empty file.
   */
  async concatFrom(sources: Iterable<string | URL>): Promise<Receipt> {
    return await this.#publish(filesSource(this.#paths(sources)));
  }

  /** Publishes the contents of files, before it returns; see {@linkcode concatFrom}. */
  concatFromSync(sources: Iterable<string | URL>): Receipt {
    return this.#publishSync(filesSource(this.#paths(sources)));
  }

  /**
   * Publishes what a callback writes, when it has ended well. Until then nobody sees anything.
   *
   * @param callback Gets the sink; may be asynchronous. When it throws, nothing is published and the
   * error is the `cause` of the PublishError (code `SourceFailed`).
   */
  async writeWith(callback: (sink: FileSink) => unknown): Promise<Receipt> {
    return await this.#publish(callbackSource(checkedCallback(callback)));
  }

  /** Publishes what a synchronous callback writes, before it returns; see {@linkcode writeWith}. */
  writeWithSync(callback: (sink: FileSinkSync) => unknown): Receipt {
    return this.#publishSync(callbackSourceSync(checkedCallback(callback)));
  }

  /**
   * Publishes what a source yields, after its end. A source that fails, is cancelled, is aborted by `signal`, or
   * has fewer bytes than it announced (the `Content-Length` of a Response, the size of a Blob) publishes
   * nothing, and is cancelled itself.
   *
   * @param data A ReadableStream, an AsyncIterable (so a Readable of Node too), an Iterable, a Blob or a Response of
   * bytes or strings. A Response without success status is refused (code `BadResponse`) before anything is touched.
   */
  async stream(data: StreamData): Promise<Receipt> {
    return await this.#publish(streamSource(data, this.#target));
  }

  /** Publishes what an iterable yields, before it returns; see {@linkcode stream}. */
  streamSync(data: Iterable<unknown>): Receipt {
    return this.#publishSync(iterableSource(data));
  }

  /**
   * Publishes what is written into a WritableStream: its close publishes, its abort discards.
   *
   * @returns The stream, and the promise of the receipt. `pipeTo(writable)` resolves when the file is
   * published, and publishes on normal end only.
   */
  writable(): WritableFile {
    return openWritable(this.#adapter, this.#target, resolveOptions(this.#options, "create"));
  }

  #with(options: AtomicWriteOptions): AtomicFile {
    return new AtomicFile(this.#target, { ...this.#options, ...options });
  }

  #publish(source: Source): Promise<Receipt> {
    return publishAsync(this.#adapter, this.#job(source));
  }

  #publishSync(source: Source): Receipt {
    return publishSync(this.#adapter, this.#job(source));
  }

  #job(source: Source): Parameters<typeof publishSync>[1] {
    return { target: this.#target, source, options: resolveOptions(this.#options, "create") };
  }

  #paths(sources: Iterable<string | URL>): string[] {
    // A string is iterable too, but its characters are no files.
    if (typeof sources === "string" || typeof sources?.[Symbol.iterator] !== "function") {
      throw new MisuseError(`concatFrom needs a list of paths, not ${nameOf(sources)}`);
    }
    return Array.from(sources, (source) => absolutePath(source, this.#adapter));
  }
}

function checkedCallback<T>(callback: T): T {
  if (typeof callback === "function") return callback;
  throw new MisuseError(`writeWith needs a function, not ${nameOf(callback)}`);
}

/**
 * Digests: reading what the caller wants, and computing what the bytes have.
 *
 * xxh3-128 comes from hash-wasm, which can only start asynchronously. Where that cannot be waited
 * for (a synchronous call), or is not worth it (few bytes), the TypeScript twin in xxh3.ts answers;
 * a test holds the two against each other. hash-wasm is imported at its first use, not before.
 */

import type { RunningDigest } from "../base/fs_adapter.ts";
import { HashMismatchError, MisuseError, UnsupportedError } from "../base/errors.ts";
import { nameOf } from "../base/paths.ts";
import type { StepFs } from "../base/step_fs.ts";
import { settled, type Steps } from "../base/steps.ts";
import { Xxh3 } from "./xxh3.ts";

/**
 * The hashes that can be verified.
 *
 * @example All of them
 * ```ts
 * import { type HashAlgorithm } from "@crashsafe/fs";
 *
 * const algorithms: HashAlgorithm[] = ["xxh3-128", "sha256", "sha512", "blake3"];
 * console.log(algorithms.length);
 * ```
 */
export type HashAlgorithm = "xxh3-128" | "sha256" | "sha512" | "blake3";

/**
 * A digest: hexadecimal in any case, the bytes themselves, or a Subresource Integrity string such
 * as `sha256-…` (which names its algorithm itself).
 *
 * @example Three spellings
 * ```ts
 * import { type Digest } from "@crashsafe/fs";
 *
 * const digests: Digest[] = ["99aa06d3014798d86001c324468d497f", new Uint8Array(16), "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="];
 * console.log(digests.length);
 * ```
 */
export type Digest = string | Uint8Array;

/**
 * A digest with its algorithm.
 *
 * @example With its algorithm
 * ```ts
 * import { AtomicFile, type ExpectedHash } from "@crashsafe/fs";
 *
 * const hash: ExpectedHash = { digest: "00".repeat(32), algorithm: "sha256" };
 * console.log(new AtomicFile("file", { hash }).path.endsWith("file")); // true
 * ```
 */
export interface ExpectedHash {
  /** The digest that the bytes must have. */
  readonly digest: Digest;
  /**
   * The hash that the digest is of.
   * @default "xxh3-128"
   */
  readonly algorithm?: HashAlgorithm;
}

/** A digest as the core compares it. */
export interface WantedHash {
  readonly algorithm: HashAlgorithm;
  /** Lower-case hexadecimal. */
  readonly hex: string;
}

/** Reads a digest, or throws a TypeError that says what is wrong with it. */
export function wantedHash(digest: Digest, algorithm: HashAlgorithm = "xxh3-128"): WantedHash {
  requireKnown(algorithm);
  if (typeof digest === "string") {
    const integrity = /^(sha256|sha512)-([A-Za-z0-9+/]+={0,2})$/.exec(digest);
    if (integrity !== null) {
      const [, named, base64] = integrity as unknown as [string, "sha256" | "sha512", string];
      return { algorithm: named, hex: checkedLength(named, fromBase64(base64, digest)) };
    }
    if (!/^(?:[0-9a-f]{2})+$/i.test(digest)) {
      throw new MisuseError(
        `A ${algorithm} digest must be hexadecimal, not ${JSON.stringify(digest)}`,
      );
    }
    return { algorithm, hex: checkedLength(algorithm, digest.toLowerCase()) };
  }
  if (!(digest instanceof Uint8Array)) {
    throw new MisuseError(`A digest must be a string or a Uint8Array, not ${nameOf(digest)}`);
  }
  return { algorithm, hex: checkedLength(algorithm, toHex(digest)) };
}

/** Throws a TypeError for an algorithm that is not one of ours. */
export function requireKnown(algorithm: HashAlgorithm): void {
  if (Object.hasOwn(DIGEST_BYTES, algorithm)) return;
  throw new MisuseError(
    `Unknown hash algorithm ${JSON.stringify(algorithm)}, known are ${ALGORITHMS.join(", ")}`,
  );
}

/** Throws unless the digest is the wanted one. `truth` ends the message: what is now true. */
export function verifyDigest(
  path: string,
  wanted: WantedHash,
  actual: string,
  truth: string,
): void {
  if (actual !== wanted.hex) {
    throw new HashMismatchError(path, wanted.algorithm, wanted.hex, actual, truth);
  }
}

/** A digest being computed, given back when it is read. */
export class DigestStream {
  readonly #running: RunningDigest;
  readonly #release: (() => void) | undefined;

  constructor(running: RunningDigest, release?: () => void) {
    this.#running = running;
    this.#release = release;
  }

  update(bytes: Uint8Array): void {
    this.#running.update(bytes);
  }

  /** The digest in lower-case hexadecimal; the stream ends with it. */
  hex(): string {
    const hex = toHex(this.#running.digest());
    this.#release?.();
    return hex;
  }
}

/**
 * Starts a digest over about `size` bytes (`undefined`: not known). A call that is synchronous must
 * not wait, so there blake3 works only after `prepareHash("blake3")`.
 */
export function* startDigest(
  fs: StepFs,
  algorithm: HashAlgorithm,
  size: number | undefined,
  path: string,
): Steps<DigestStream> {
  if (algorithm === "sha256" || algorithm === "sha512") {
    const running = fs.adapter.digest?.(algorithm);
    if (running !== undefined) return new DigestStream(running);
    throw new UnsupportedError(
      algorithm,
      `Cannot verify "${path}": the adapter "${fs.adapter.name}" has no ${algorithm}, nothing was touched`,
      { operation: "verify", path },
    );
  }
  let hasher = idle[algorithm].pop();
  if (hasher === undefined && fs.colour === "async") {
    const few = size !== undefined && size <= NOT_WORTH_STARTING_BYTES;
    if (!(few && algorithm === "xxh3-128")) {
      hasher = yield* settled(
        newHasher(algorithm).catch((cause) => {
          // Where WebAssembly is forbidden the twin answers: slower, and the same digest.
          if (algorithm === "xxh3-128") return undefined;
          throw cause;
        }),
      );
    }
  }
  if (hasher !== undefined) return wasmDigest(algorithm, hasher);
  if (algorithm === "xxh3-128") return new DigestStream(new Xxh3());
  throw new UnsupportedError(
    algorithm,
    `Cannot verify "${path}": a synchronous blake3 needs \`await prepareHash("blake3")\` first, nothing was touched`,
    { operation: "verify", path },
  );
}

/**
 * Starts a hash ahead of time, so that later synchronous calls can use it (blake3) or run at full
 * speed (xxh3-128). sha256 and sha512 need no preparation.
 *
 * @param algorithm The hash to start.
 * @throws {TypeError} When there is no such algorithm.
 *
 * @example Verify blake3 synchronously
 * ```ts
 * import { prepareHash } from "@crashsafe/fs";
 *
 * await prepareHash("blake3");
 * // from here on AtomicFile.withHash(digest, "blake3").writeSync(…) works
 * ```
 */
export async function prepareHash(algorithm: HashAlgorithm): Promise<void> {
  requireKnown(algorithm);
  if (algorithm !== "xxh3-128" && algorithm !== "blake3") return;
  if (idle[algorithm].length === 0) idle[algorithm].push(await newHasher(algorithm));
}

/** The bytes in lower-case hexadecimal. */
export function toHex(bytes: Uint8Array): string {
  let hex = "";
  for (const byte of bytes) hex += byte.toString(16).padStart(2, "0");
  return hex;
}

const DIGEST_BYTES: Readonly<Record<HashAlgorithm, number>> = {
  "xxh3-128": 16,
  sha256: 32,
  sha512: 64,
  blake3: 32,
};
const ALGORITHMS: readonly string[] = Object.keys(DIGEST_BYTES);

/** Below this the TypeScript xxh3 has finished before hash-wasm would have started. */
const NOT_WORTH_STARTING_BYTES = 1 << 20;

/** The part of hash-wasm's hasher that is used; one instance computes one digest at a time. */
interface WasmHasher {
  init(): unknown;
  update(bytes: Uint8Array): unknown;
  digest(outputType: "binary"): Uint8Array;
}

/** Instances that nobody uses at the moment, kept because making one takes a fifth of a millisecond. */
const idle: Readonly<Record<"xxh3-128" | "blake3", WasmHasher[]>> = { "xxh3-128": [], blake3: [] };
const MOST_IDLE = 8;

async function newHasher(algorithm: "xxh3-128" | "blake3"): Promise<WasmHasher> {
  const { createXXHash128, createBLAKE3 } = await import("hash-wasm");
  return await (algorithm === "blake3" ? createBLAKE3() : createXXHash128());
}

function wasmDigest(algorithm: "xxh3-128" | "blake3", hasher: WasmHasher): DigestStream {
  hasher.init();
  const running: RunningDigest = {
    update: (bytes) => hasher.update(bytes),
    digest: () => hasher.digest("binary"),
  };
  return new DigestStream(running, () => {
    if (idle[algorithm].length < MOST_IDLE) idle[algorithm].push(hasher);
  });
}

function checkedLength(algorithm: HashAlgorithm, hex: string): string {
  const wanted = DIGEST_BYTES[algorithm];
  if (hex.length !== 2 * wanted) {
    throw new MisuseError(`A ${algorithm} digest has ${wanted} bytes, not ${hex.length / 2}`);
  }
  return hex;
}

function fromBase64(base64: string, whole: string): string {
  try {
    return toHex(Uint8Array.from(atob(base64), (character) => character.charCodeAt(0)));
  } catch {
    throw new MisuseError(`Not valid base64 in ${JSON.stringify(whole)}`);
  }
}

import { test } from "node:test";
import assert from "node:assert/strict";
import process from "node:process";
import { createXXHash128 } from "hash-wasm";
import { toHex } from "../../src/hash/digest.ts";
import { Xxh3 } from "../../src/hash/xxh3.ts";

/** Random bytes that a printed seed brings back: XXH3_SEED=… replays a failure. */
const seed = Number(process.env.XXH3_SEED ?? Math.floor(Math.random() * 2 ** 32));
let state = seed || 1;

function random(below: number): number {
  // xorshift32: good enough to vary lengths and bytes.
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return (state >>> 0) % below;
}

function randomBytes(length: number): Uint8Array {
  return Uint8Array.from({ length }, () => random(256));
}

function inOne(bytes: Uint8Array): string {
  return toHex(new Xxh3().update(bytes).digest());
}

function inPieces(bytes: Uint8Array, longest: number): string {
  const hash = new Xxh3();
  for (let at = 0; at < bytes.length;) {
    const end = Math.min(bytes.length, at + 1 + random(longest));
    hash.update(bytes.subarray(at, end));
    at = end;
  }
  return toHex(hash.digest());
}

test(`xxh3-128 equals hash-wasm for every length from 0 to 2048 (XXH3_SEED=${seed})`, async () => {
  const wasm = await createXXHash128();
  const bytes = randomBytes(2049);
  for (let length = 0; length <= 2048; length++) {
    const input = bytes.subarray(length % 7, length % 7 + Math.min(length, 2049 - length % 7));
    const wanted = wasm.init().update(input).digest();
    assert.equal(inOne(input), wanted, `length ${input.length} in one update`);
    assert.equal(inPieces(input, 200), wanted, `length ${input.length} in pieces`);
  }
});

test(`xxh3-128 equals hash-wasm for large input, however it is cut (XXH3_SEED=${seed})`, async () => {
  const wasm = await createXXHash128();
  for (const length of [1 << 16, 1024 * 64 + 1, 1_000_003, 3_000_000]) {
    const input = randomBytes(length + 1).subarray(1);
    const wanted = wasm.init().update(input).digest();
    assert.equal(inOne(input), wanted, `length ${length} in one update`);
    assert.equal(inPieces(input, 5_000), wanted, `length ${length} in small pieces`);
    assert.equal(inPieces(input, 300_000), wanted, `length ${length} in large pieces`);
  }
});

test("xxh3-128 gives the published digests", () => {
  // As `xxhsum -H2` prints them for these inputs.
  const vectors: readonly (readonly [string, string])[] = [
    ["", "99aa06d3014798d86001c324468d497f"],
    ["a", "a96faf705af16834e6c632b61e964e1f"],
    ["abc", "06b05ab6733a618578af5f94892f3950"],
  ];
  for (const [text, digest] of vectors) {
    assert.equal(inOne(new TextEncoder().encode(text)), digest, JSON.stringify(text));
  }
});

test("xxh3-128 can be read in the middle and goes on", () => {
  const bytes = randomBytes(5_000);
  for (const cut of [0, 100, 240, 241, 1024, 1025, 3_000]) {
    const hash = new Xxh3().update(bytes.subarray(0, cut));
    assert.equal(toHex(hash.digest()), inOne(bytes.subarray(0, cut)), `read after ${cut}`);
    assert.equal(toHex(hash.digest()), inOne(bytes.subarray(0, cut)), `read again after ${cut}`);
    assert.equal(toHex(hash.update(bytes.subarray(cut)).digest()), inOne(bytes), `past ${cut}`);
  }
});

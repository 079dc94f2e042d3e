import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { blake3, sha256, sha512, xxhash128 } from "hash-wasm";
import {
  hashFile,
  hashFileSync,
  hashStream,
  prepareHash,
  readVerified,
  readVerifiedSync,
  systemAdapter,
} from "@crashsafe/fs";
import { FaultFs } from "@crashsafe/fs/testing";
import { withTempDir } from "../support/temp_dir.ts";

const REFERENCES = { "xxh3-128": xxhash128, sha256, sha512, blake3 } as const;
const algorithms = Object.keys(REFERENCES) as (keyof typeof REFERENCES)[];

describe("hashFile, hashFileSync and hashStream agree with the reference", () => {
  for (const algorithm of algorithms) {
    test(algorithm, () =>
      withTempDir(async (dir) => {
        await prepareHash(algorithm);
        for (const size of [0, 1, 5_000, 2_100_000]) {
          const bytes = new Uint8Array(size).map((_, index) => index * 13);
          writeFileSync(`${dir}/a`, bytes);
          const wanted = await REFERENCES[algorithm](bytes);
          assert.equal(await hashFile(`${dir}/a`, algorithm), wanted);
          assert.equal(hashFileSync(`${dir}/a`, { algorithm }), wanted);
          assert.equal(await hashStream(new Blob([bytes]), algorithm), wanted);
        }
      }));
  }
});

test("what cannot be read is told, and leaves no handle", () =>
  withTempDir(async (dir) => {
    mkdirSync(`${dir}/d`);
    const adapter = new FaultFs(systemAdapter(), [{ kinds: ["read"], errno: "EIO" }]);
    writeFileSync(`${dir}/a`, "x");
    await assert.rejects(hashFile(`${dir}/none`), { code: "ENOENT" });
    assert.throws(() => hashFileSync(`${dir}/d`), { code: "NotRegular" });
    await assert.rejects(hashFile(`${dir}/a`, { adapter }), { code: "EIO" });
    assert.equal(adapter.openHandles, 0, adapter.story());
    await assert.rejects(hashFile(`${dir}/a`, "md5" as "sha256"), TypeError);
    await assert.rejects(hashStream([5]), TypeError);
    await assert.rejects(hashStream([], "md5" as "sha256"), TypeError);
    await assert.rejects(hashFile(`${dir}/a`, 5 as unknown as "sha256"), TypeError);
  }));

test("a signal ends reads and digests with its reason, and cancels the stream", () =>
  withTempDir(async (dir) => {
    const reason = new Error("enough");
    const signal = AbortSignal.abort(reason);
    writeFileSync(`${dir}/a`, "");
    const empty = await hashFile(`${dir}/a`);
    const isReason = (error: unknown): boolean => error === reason;
    await assert.rejects(hashFile(`${dir}/a`, { signal }), isReason);
    assert.throws(() => hashFileSync(`${dir}/a`, { signal }), isReason);
    await assert.rejects(readVerified(`${dir}/a`, empty, { signal }), isReason);
    assert.throws(() => readVerifiedSync(`${dir}/a`, empty, { signal }), isReason);
    const abort = new AbortController();
    let heard: unknown;
    const stalled = new ReadableStream({
      pull: () => {
        abort.abort(reason);
        return new Promise(() => {});
      },
      cancel: (why) => {
        heard = why;
      },
    });
    await assert.rejects(hashStream(stalled, { signal: abort.signal }), isReason);
    assert.equal(heard, reason);
    const many = new AbortController();
    writeFileSync(`${dir}/large`, new Uint8Array(4 << 20));
    const adapter = new FaultFs(systemAdapter());
    const own = adapter.async.read;
    Object.assign(adapter.async, {
      read: (handle: object, buffer: Uint8Array) => {
        many.abort(reason);
        return own(handle, buffer);
      },
    });
    await assert.rejects(hashFile(`${dir}/large`, { adapter, signal: many.signal }), isReason);
    assert.equal(adapter.openHandles, 0);
  }));

import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createHash } from "node:crypto";
import { AtomicFile, atomicWrite } from "@crashsafe/fs";
import { withTempDir } from "../support/temp_dir.ts";

function sha256(bytes: Uint8Array): { digest: string; algorithm: "sha256" } {
  return { digest: createHash("sha256").update(bytes).digest("hex"), algorithm: "sha256" };
}

describe("verified bytes or nothing, when the caller changes them too early", () => {
  test("small data whose turn is now is written before the call comes back", () =>
    withTempDir(async (dir) => {
      const bytes = new Uint8Array(60_000).fill(1);
      const hash = sha256(bytes);
      const written = atomicWrite(`${dir}/a`, bytes, { hash });
      bytes.fill(2);
      await written;
      assert.ok(readFileSync(`${dir}/a`).every((byte) => byte === 1));
    }));

  test("data that waits for its turn is verified as it is then", () =>
    withTempDir(async (dir) => {
      writeFileSync(`${dir}/a`, "old");
      const bytes = new Uint8Array(60_000).fill(1);
      const hash = sha256(bytes);
      const first = atomicWrite(`${dir}/a`, "first");
      const second = atomicWrite(`${dir}/a`, bytes, { hash });
      bytes.fill(2);
      const outcomes = await Promise.allSettled([first, second]);
      assert.deepEqual(outcomes.map((one) => one.status), ["fulfilled", "rejected"]);
      assert.equal((outcomes[1] as PromiseRejectedResult).reason.code, "HashMismatch");
      assert.equal(readFileSync(`${dir}/a`, "utf8"), "first");
      assert.deepEqual(readdirSync(dir), ["a"]);
    }));

  test("data that is transferred away while it waits is misuse, and the next writer goes on", () =>
    withTempDir(async (dir) => {
      const bytes = new Uint8Array(10);
      const writes = [
        atomicWrite(`${dir}/a`, "first"),
        atomicWrite(`${dir}/a`, bytes),
        atomicWrite(`${dir}/a`, "third"),
      ];
      structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
      const [, second] = await Promise.allSettled(writes);
      assert.equal((second as PromiseRejectedResult).reason.name, "TypeError");
      assert.equal(readFileSync(`${dir}/a`, "utf8"), "third");
      assert.deepEqual(readdirSync(dir), ["a"]);
    }));

  test("text is taken as it is, and views only as far as they reach", () =>
    withTempDir(async (dir) => {
      const all = Uint8Array.from([1, 2, 3, 4]);
      const file = new AtomicFile(`${dir}/a`);
      assert.equal((await file.write(all.subarray(1, 3))).bytes, 2);
      assert.deepEqual([...readFileSync(`${dir}/a`)], [2, 3]);
      assert.equal(file.writeSync("\u{1f995}\0").bytes, 5);
    }));
});

import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { blake3, xxhash128 } from "hash-wasm";
import {
  AtomicFile,
  atomicWriteSync,
  type Digest,
  type HashAlgorithm,
  HashMismatchError,
  prepareHash,
  readVerified,
  readVerifiedSync,
} from "@crashsafe/fs";
import { runProgram } from "../support/programs.ts";
import { terminals } from "../support/terminals.ts";
import { withTempDir } from "../support/temp_dir.ts";

const CONTENT = "what must be published, and nothing else";

async function digestOf(algorithm: HashAlgorithm, content: string): Promise<string> {
  switch (algorithm) {
    case "xxh3-128":
      return await xxhash128(content);
    case "blake3":
      return await blake3(content);
    default:
      return createHash(algorithm).update(content).digest("hex");
  }
}

for (const terminal of terminals) {
  describe(`${terminal.name} with a digest`, () => {
    for (const algorithm of ["xxh3-128", "sha256", "sha512", "blake3"] as const) {
      test(`${algorithm}: publishes on a match, keeps the old file on a mismatch`, () =>
        withTempDir(async (dir) => {
          await prepareHash(algorithm);
          const digest = await digestOf(algorithm, CONTENT);
          const other = await digestOf(algorithm, `${CONTENT}!`);
          const target = `${dir}/out/file`;
          const good = await terminal.run(target, CONTENT, { hash: { digest, algorithm } }, dir);
          assert.equal(good.hash, digest);
          await assert.rejects(
            terminal.run(target, `${CONTENT}!`, { hash: { digest, algorithm } }, dir),
            (error) => {
              assert.ok(error instanceof HashMismatchError);
              assert.equal(error.code, "HashMismatch");
              assert.equal(error.expected, digest);
              assert.equal(error.actual, other);
              assert.equal(error.algorithm, algorithm);
              assert.equal(error.path, target);
              return true;
            },
          );
          assert.deepEqual(readdirSync(`${dir}/out`), ["file"]);
          assert.equal(readFileSync(target, "utf8"), CONTENT);
        }));
    }

    test("a mismatch for a new file leaves the directory empty", () =>
      withTempDir(async (dir) => {
        const inputs = `${dir}/inputs`;
        atomicWriteSync(`${dir}/x`, "");
        new AtomicFile(`${inputs}/x`).writeSync("");
        const hash = await xxhash128("something else");
        await assert.rejects(
          terminal.run(`${dir}/out/file`, CONTENT, { hash }, inputs),
          HashMismatchError,
        );
        const inMemory = terminal.name.startsWith("write") && !/With|able/.test(terminal.name);
        const left = readdirSync(dir).includes("out") ? readdirSync(`${dir}/out`) : undefined;
        assert.deepEqual(left, inMemory ? undefined : []);
      }));
  });
}

describe("digests", () => {
  test("may be upper case, bytes, or an integrity string", () =>
    withTempDir(async (dir) => {
      const hex = await xxhash128(CONTENT);
      const sha = createHash("sha256").update(CONTENT).digest();
      const sha512 = createHash("sha512").update(CONTENT).digest("base64");
      const forms: readonly (readonly [Digest, HashAlgorithm | undefined])[] = [
        [hex.toUpperCase(), undefined],
        [Uint8Array.from(Buffer.from(hex, "hex")), "xxh3-128"],
        [sha.toString("hex"), "sha256"],
        [new Uint8Array(sha), "sha256"],
        [`sha256-${sha.toString("base64")}`, undefined],
        [`sha512-${sha512}`, undefined],
      ];
      for (const [digest, algorithm] of forms) {
        const file = algorithm === undefined
          ? new AtomicFile(`${dir}/a`).withHash(digest)
          : new AtomicFile(`${dir}/a`).withHash(digest, algorithm);
        assert.equal(file.writeSync(CONTENT).bytes, CONTENT.length);
        assert.equal((await readVerified(`${dir}/a`, digest, algorithm)).length, CONTENT.length);
        assert.equal(
          readVerifiedSync(`${dir}/a`, digest, { ...(algorithm && { algorithm }) }).length,
          CONTENT.length,
        );
      }
    }));

  test("of the wrong length are refused, with both lengths in the message", () => {
    assert.throws(() => new AtomicFile("/a").withHash("00ff"), {
      name: "TypeError",
      message: "A xxh3-128 digest has 16 bytes, not 2",
    });
  });

  test("of more than a mebibyte agree between the two implementations", () =>
    withTempDir(async (dir) => {
      const large = new Uint8Array(2_500_000).map((_, index) => index * 7);
      const hash = await xxhash128(large);
      assert.equal(new AtomicFile(`${dir}/a`).withHash(hash).writeSync(large).hash, hash);
      assert.equal((await new AtomicFile(`${dir}/a`).withHash(hash).write(large)).hash, hash);
      assert.equal(
        (await new AtomicFile(`${dir}/b`).withHash(hash).copyFrom(`${dir}/a`)).hash,
        hash,
      );
      assert.equal(new AtomicFile(`${dir}/b`).withHash(hash).copyFromSync(`${dir}/a`).hash, hash);
    }));
});

test("a synchronous verification works on the first line of a program", () =>
  withTempDir(async (dir) => {
    const { stdout, stderr } = await runProgram("tests/programs/call", {
      args: ["first line", dir],
    });
    assert.equal(stdout.trim(), '["06b05ab6733a618578af5f94892f3950",3]', stderr);
  }));

test("a synchronous blake3 without its preparation is refused before anything is touched", () =>
  withTempDir(async (dir) => {
    const { stdout, stderr } = await runProgram("tests/programs/blake3_first", { args: [dir] });
    assert.equal(stdout.trim(), "Unsupported [] true", stderr);
  }));

describe("readVerified", () => {
  test("gives no bytes on a mismatch", () =>
    withTempDir(async (dir) => {
      writeFileSync(`${dir}/a`, CONTENT);
      const digest = await xxhash128("other");
      await assert.rejects(readVerified(`${dir}/a`, digest), HashMismatchError);
      assert.throws(() => readVerifiedSync(`${dir}/a`, digest), HashMismatchError);
    }));

  test("says why a file cannot be read", () =>
    withTempDir(async (dir) => {
      const digest = await xxhash128("");
      const cases: readonly (readonly [string, string])[] = [
        ["missing", "ENOENT"],
        ["", "NotRegular"],
      ];
      for (const [name, code] of cases) {
        const path = name === "" ? dir : `${dir}/${name}`;
        await assert.rejects(readVerified(path, digest), { code, name: "CrashSafeError" });
        assert.throws(() => readVerifiedSync(path, digest), { code });
      }
    }));

  test("reads files whose size is not told, as those of /proc", (t) => {
    let content: Uint8Array;
    try {
      content = readFileSync("/proc/version");
    } catch {
      return t.skip("no /proc here");
    }
    const sha = createHash("sha256").update(content).digest("hex");
    assert.deepEqual([...readVerifiedSync("/proc/version", sha, "sha256")], [...content]);
  });
});

import { after, describe, test } from "node:test";
import assert from "node:assert/strict";
import { closeSync, openSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import { AtomicFile, type FileSinkSync, PublishError, systemAdapter } from "@crashsafe/fs";
import { FaultFs } from "@crashsafe/fs/testing";
import { withTempDir } from "../support/temp_dir.ts";

const unhandled: unknown[] = [];
const remember = (reason: unknown): void => void unhandled.push(reason);
process.on("unhandledRejection", remember);
after(() => void process.off("unhandledRejection", remember));

/** A full disk for one write, the second. */
function fullDisk(): FaultFs {
  return new FaultFs(systemAdapter(), [{ kinds: ["write"], nth: 2, errno: "ENOSPC" }]);
}

describe("a callback that swallows a failed write publishes nothing", () => {
  test("writeWith", () =>
    withTempDir(async (dir) => {
      writeFileSync(`${dir}/a`, "old");
      await assert.rejects(
        new AtomicFile(`${dir}/a`, { adapter: fullDisk() }).writeWith(async (sink) => {
          await sink.write("one");
          await sink.write("two").catch(() => {});
          await sink.write("three").catch(() => {});
        }),
        { name: "PublishError", code: "ENOSPC" },
      );
      assert.equal(readFileSync(`${dir}/a`, "utf8"), "old");
      assert.deepEqual(readdirSync(dir), ["a"]);
    }));

  test("writeWithSync", () =>
    withTempDir((dir) => {
      writeFileSync(`${dir}/a`, "old");
      assert.throws(() =>
        new AtomicFile(`${dir}/a`, { adapter: fullDisk() }).writeWithSync((sink) => {
          sink.write("one");
          assert.throws(() => sink.write("two"), { code: "ENOSPC" });
          assert.throws(() => sink.write("three"), { code: "ENOSPC" });
        }), { name: "PublishError", code: "ENOSPC" });
      assert.equal(readFileSync(`${dir}/a`, "utf8"), "old");
      assert.deepEqual(readdirSync(dir), ["a"]);
    }));

  test("a chunk that is no data counts as a failed write, awaited or not, in both colours", () =>
    withTempDir(async (dir) => {
      const bad = 5 as unknown as string;
      await assert.rejects(
        new AtomicFile(`${dir}/a`).writeWith((sink) => {
          void sink.write("one");
          void sink.write(bad);
          void sink.write("three");
        }),
        TypeError,
      );
      assert.throws(() =>
        new AtomicFile(`${dir}/a`).writeWithSync((sink) => {
          sink.write("one");
          assert.throws(() => sink.write(bad), TypeError);
        }), TypeError);
      assert.deepEqual(readdirSync(dir), []);
    }));
});

describe("a sink kept after its callback", () => {
  test("is closed when a synchronous callback threw: its descriptor may be another file's now", () =>
    withTempDir((dir) => {
      let kept: FileSinkSync | undefined;
      assert.throws(() =>
        new AtomicFile(`${dir}/a`).writeWithSync((sink) => {
          kept = sink;
          throw new Error("boom");
        }), PublishError);
      const fd = openSync(`${dir}/innocent`, "w");
      try {
        assert.throws(() => kept?.write("stray"), TypeError);
      } finally {
        closeSync(fd);
      }
      assert.equal(readFileSync(`${dir}/innocent`, "utf8"), "");
    }));

  test("is closed when an asynchronous callback was aborted, and unawaited writes crash nobody", () =>
    withTempDir(async (dir) => {
      const abort = new AbortController();
      const reason = new Error("enough");
      let finish = (): void => {};
      const late = new Promise<void>((resolve) => {
        finish = resolve;
      });
      let tried = false;
      await assert.rejects(
        new AtomicFile(`${dir}/a`, { signal: abort.signal }).writeWith(async (sink) => {
          abort.abort(reason);
          await late;
          void sink.write("stray");
          tried = true;
          throw new Error("and it fails, too");
        }),
        (error) => error === reason,
      );
      finish();
      await new Promise((resolve) => setTimeout(resolve));
      assert.ok(tried);
      assert.deepEqual(readdirSync(dir), []);
    }));

  test("of writeWithSync with an asynchronous callback, which is misuse and told once", () =>
    withTempDir(async (dir) => {
      assert.throws(() =>
        new AtomicFile(`${dir}/a`).writeWithSync(async (sink) => {
          await Promise.resolve();
          sink.write("late");
        }), TypeError);
      await new Promise((resolve) => setTimeout(resolve));
      assert.deepEqual(readdirSync(dir), []);
    }));
});

test("a sink counts the bytes that are written", () =>
  withTempDir(async (dir) => {
    const counts: number[] = [];
    const receipt = await new AtomicFile(`${dir}/a`).writeWith(async (sink) => {
      counts.push(sink.bytes);
      await sink.write("ü");
      counts.push(sink.bytes);
      await sink.write(new Uint8Array(70_000));
      counts.push(sink.bytes);
    });
    assert.deepEqual(counts, [0, 2, 70_002]);
    assert.equal(receipt.bytes, 70_002);
    new AtomicFile(`${dir}/a`).writeWithSync((sink) => {
      sink.write("abc");
      assert.equal(sink.bytes, 3);
    });
  }));

test("none of this left a rejection that nobody handles", async () => {
  await new Promise((resolve) => setTimeout(resolve));
  assert.deepEqual(unhandled, []);
});

import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import {
  AtomicFile,
  atomicWrite,
  atomicWriteSync,
  DurabilityUnknownError,
  PublishError,
  systemAdapter,
  UnsupportedError,
} from "@crashsafe/fs";
import { FaultFs, type FaultRule, parseFaults } from "@crashsafe/fs/testing";
import { withMount } from "../support/root.ts";
import { terminals } from "../support/terminals.ts";
import { withTempDir } from "../support/temp_dir.ts";

const CONTENT = "0123456789abcdef";

for (const terminal of terminals) {
  test(`${terminal.name} goes on after a short write of every length`, () =>
    withTempDir(async (dir) => {
      for (let short = 1; short < CONTENT.length; short++) {
        const adapter = new FaultFs(systemAdapter(), [{
          kinds: ["write"],
          short,
          times: "always",
        }]);
        await terminal.run(`${dir}/file`, CONTENT, { adapter }, dir);
        assert.equal(readFileSync(`${dir}/file`, "utf8"), CONTENT, adapter.story());
      }
    }));

  test(`${terminal.name} publishes nothing when the disk fills up in the middle`, () =>
    withTempDir(async (dir) => {
      writeFileSync(`${dir}/file`, "old");
      const rules: FaultRule[] = [
        { kinds: ["write"], short: 3 },
        { kinds: ["write"], nth: 2, errno: "ENOSPC", times: "always" },
      ];
      const adapter = new FaultFs(systemAdapter(), rules);
      await assert.rejects(terminal.run(`${dir}/file`, CONTENT, { adapter }, dir), {
        code: "ENOSPC",
      });
      assert.equal(readFileSync(`${dir}/file`, "utf8"), "old");
      assert.equal(adapter.openHandles, 0);
    }));

  test(`${terminal.name} on a real full disk keeps the old file and leaves nothing`, (t) =>
    withTempDir((dir) =>
      withMount(t, ["-t", "tmpfs", "-o", "size=64k", "none"], `${dir}/disk`, async () => {
        writeFileSync(`${dir}/disk/file`, "old");
        const before = openDescriptors();
        await assert.rejects(
          terminal.run(`${dir}/disk/file`, "x".repeat(100_000), {}, dir),
          (error) => {
            assert.ok(error instanceof PublishError);
            assert.equal(error.code, "ENOSPC");
            assert.match(error.message, /no space left on device.*nothing was published/);
            return true;
          },
        );
        assert.deepEqual(readdirSync(`${dir}/disk`), ["file"]);
        assert.equal(readFileSync(`${dir}/disk/file`, "utf8"), "old");
        assert.equal(openDescriptors(), before);
      })
    ));
}

test("a write that makes no progress ends instead of looping", () =>
  withTempDir((dir) => {
    const adapter = new FaultFs(systemAdapter(), [{ kinds: ["write"], short: 0, times: "always" }]);
    assert.throws(() => atomicWriteSync(`${dir}/file`, "x", { adapter }), { code: "NoProgress" });
    assert.deepEqual(readdirSync(dir), []);
  }));

test("an inode whose fsync failed is never fsynced again", () =>
  withTempDir(async (dir) => {
    const adapter = new FaultFs(systemAdapter(), [{ kinds: ["fsync"], errno: "EIO" }]);
    await assert.rejects(atomicWrite(`${dir}/file`, "x", { adapter }), { code: "EIO" });
    await atomicWrite(`${dir}/file`, "x", { adapter });
    const synced = adapter.log.filter((one) => one.kind === "fsync").map((one) => one.path);
    assert.equal(synced.length, 2);
    assert.notEqual(synced[0], synced[1]);
  }));

describe("a directory that cannot be fsynced", () => {
  for (const errno of ["EINVAL", "ENOTSUP", "ENOSYS"]) {
    test(`${errno} lowers the receipt to "file", or refuses when full was required`, () =>
      withTempDir((dir) => {
        const rules: FaultRule[] = [{ kinds: ["fsyncDir"], errno, times: "always" }];
        const receipt = atomicWriteSync(`${dir}/a`, "x", {
          adapter: new FaultFs(systemAdapter(), rules),
        });
        assert.equal(receipt.durability, "file");
        const made = new AtomicFile(`${dir}/new/b`, {
          adapter: new FaultFs(systemAdapter(), rules),
        });
        assert.equal(made.writeSync("x").durability, "file");
        const adapter = new FaultFs(systemAdapter(), rules);
        assert.throws(
          () => atomicWriteSync(`${dir}/c`, "x", { adapter, requireDurability: true }),
          (error) => error instanceof UnsupportedError && error.capability === "fsyncDir",
        );
        assert.ok(!existsSync(`${dir}/c`));
        assert.deepEqual(readdirSync(dir).sort(), ["a", "new"]);
      }));
  }

  test("EIO means: in place, durability unknown", () =>
    withTempDir((dir) => {
      const adapter = new FaultFs(systemAdapter(), [{ kinds: ["fsyncDir"], errno: "EIO" }]);
      assert.throws(() => atomicWriteSync(`${dir}/a`, "x", { adapter }), (error) => {
        assert.ok(error instanceof DurabilityUnknownError);
        assert.equal(error.committed, true);
        assert.match(error.message, /the new content is in place but may not survive a power cut$/);
        return true;
      });
      assert.equal(readFileSync(`${dir}/a`, "utf8"), "x");
    }));
});

describe("a commit whose answer got lost", () => {
  test("is recognised by the inode at the target", () =>
    withTempDir((dir) => {
      for (const existing of ["replace", "fail"] as const) {
        const adapter = new FaultFs(systemAdapter(), [
          { kinds: ["rename", "link"], errno: "EIO", afterwards: true },
        ]);
        assert.equal(
          atomicWriteSync(`${dir}/${existing}`, "x", { adapter, existing }).durability,
          "full",
        );
        assert.equal(readFileSync(`${dir}/${existing}`, "utf8"), "x");
      }
      assert.deepEqual(readdirSync(dir).sort(), ["fail", "replace"]);
    }));

  test("is unknown when the file system does not answer at all", () =>
    withTempDir((dir) => {
      const adapter = new FaultFs(systemAdapter(), [
        { kinds: ["rename"], errno: "EIO", afterwards: true },
        { kinds: ["lstat"], nth: 2, errno: "EIO", times: "always" },
      ]);
      assert.throws(
        () => atomicWriteSync(`${dir}/a`, "x", { adapter }),
        (error) => error instanceof DurabilityUnknownError && error.committed === "unknown",
      );
    }));
});

test("a temporary file that cannot be removed is named in the error", () =>
  withTempDir((dir) => {
    const adapter = new FaultFs(systemAdapter(), [
      { kinds: ["fsync"], errno: "EIO" },
      { kinds: ["unlink"], errno: "EROFS" },
    ]);
    assert.throws(() => atomicWriteSync(`${dir}/a`, "x", { adapter }), (error) => {
      assert.ok(error instanceof PublishError);
      assert.equal(error.code, "EIO");
      assert.deepEqual(readdirSync(dir).map((name) => `${dir}/${name}`), [error.leftover]);
      assert.ok(error.message.includes(`"${error.leftover}" could not be removed`));
      return true;
    });
  }));

test("a file that is a mount point is refused with words that help", (t) =>
  withTempDir((dir) => {
    writeFileSync(`${dir}/source`, "mounted");
    writeFileSync(`${dir}/target`, "below");
    return withMount(t, ["--bind", `${dir}/source`], `${dir}/target`, () => {
      assert.throws(() => atomicWriteSync(`${dir}/target`, "new"), (error) => {
        assert.ok(error instanceof PublishError);
        assert.ok(["EBUSY", "EXDEV"].includes(error.code), error.code);
        assert.match(error.message, /mount/);
        return true;
      });
      assert.equal(readFileSync(`${dir}/target`, "utf8"), "mounted");
      assert.deepEqual(readdirSync(dir).sort(), ["source", "target"]);
    });
  }));

test("a read-only file system is refused, and nothing is lost", (t) =>
  withTempDir((dir) =>
    withMount(t, ["-t", "tmpfs", "-o", "ro", "none"], `${dir}/disk`, () => {
      assert.throws(() => atomicWriteSync(`${dir}/disk/a`, "x"), { code: "EROFS" });
      assert.throws(() => new AtomicFile(`${dir}/disk/b/a`).writeSync("x"), { code: "EROFS" });
    })
  ));

test("the last line of a story brings the same faults back", () =>
  withTempDir((dir) => {
    const first = new FaultFs(systemAdapter(), [{ kinds: ["write"], errno: "EDQUOT" }]);
    assert.throws(() => atomicWriteSync(`${dir}/a`, "x", { adapter: first }));
    const line = first.story().split("\n").at(-1) ?? "";
    const second = new FaultFs(systemAdapter(), parseFaults(line));
    assert.throws(() => atomicWriteSync(`${dir}/a`, "x", { adapter: second }), { code: "EDQUOT" });
  }));

test("an asynchronous operation that comes late is waited for before its file is closed", () =>
  withTempDir(async (dir) => {
    const adapter = new FaultFs(systemAdapter(), [
      { kinds: ["write"], delayMs: 20 },
      { kinds: ["fsync"], errno: "EIO" },
    ]);
    await assert.rejects(atomicWrite(`${dir}/a`, "x", { adapter }), { code: "EIO" });
    assert.match(adapter.trace(), /write fsync close unlink$/);
  }));

/** Descriptors of this process, where the system tells. */
function openDescriptors(): number | undefined {
  return existsSync("/proc/self/fd") ? readdirSync("/proc/self/fd").length : undefined;
}

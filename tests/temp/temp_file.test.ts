import { describe, test } from "node:test";
import assert from "node:assert/strict";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import {
  atomicWriteSync,
  cleanupTempFiles,
  ClosedTempFile,
  type CrashSafeError,
  createTempFile,
  createTempFileSync,
  markTempFileAt,
  markTempFileAtSync,
  PersistError,
  systemAdapter,
  tempFileAt,
  tempFileAtSync,
  WritableTempFile,
} from "@crashsafe/fs";
import process from "node:process";
import { FaultFs, MemoryFs } from "@crashsafe/fs/testing";
import { withTempDir } from "../support/temp_dir.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** The error of a call that must fail. */
async function failure(run: () => unknown): Promise<CrashSafeError> {
  try {
    await run();
  } catch (error) {
    return error as CrashSafeError;
  }
  return assert.fail("no error");
}

describe("a new temporary file", () => {
  test("has a name of its own that a sweep knows, and mode 0600", () =>
    withTempDir(async (dir) => {
      const [one, two] = [await createTempFile(dir), createTempFileSync(dir, { prefix: "x" })];
      assert.notEqual(one.path, two.path);
      assert.match(one.path, /\/\.tmp\.[a-z2-7]{26}\.cs1[lu]$/);
      assert.match(two.path, /\/\.x\.[a-z2-7]{26}\.cs1[lu]$/);
      assert.equal(statSync(one.path).mode & 0o777, 0o600);
      await one.dispose();
      two.disposeSync();
      assert.deepEqual(readdirSync(dir), []);
    }));

  test("under a chosen name takes that and no other, once", () =>
    withTempDir(async (dir) => {
      const path = `${dir}/name`;
      const file = await tempFileAt(path, { mode: 0o640 });
      assert.equal(file.path, path);
      assert.equal(statSync(path).mode & 0o777, 0o640 & ~process.umask());
      for (const again of [() => tempFileAt(path), () => markTempFileAtSync(path)]) {
        const error = await failure(again);
        assert.equal(error.code, "EEXIST");
        assert.match(error.message, /^Cannot create the temporary file ".*\/name": EEXIST/);
      }
      file.disposeSync();
      symlinkSync("elsewhere", path);
      assert.equal((await failure(() => tempFileAtSync(path))).code, "EEXIST");
      assert.deepEqual(readdirSync(dir), ["name"]);
    }));

  test("needs its directory, unless it is to be made", () =>
    withTempDir(async (dir) => {
      assert.equal((await failure(() => createTempFile(`${dir}/a/b`))).code, "ENOENT");
      assert.deepEqual(readdirSync(dir), []);
      const file = await createTempFile(`${dir}/a/b`, { containingDirectory: "create" });
      await file.dispose();
      // Nobody asked for the directories to be removed.
      assert.deepEqual(readdirSync(dir), ["a"]);
    }));

  test("goes with the directories that were made for it, but never with the boundary", () =>
    withTempDir(async (dir) => {
      for (const make of [tempFileAtSync, markTempFileAtSync]) {
        const file = make(`${dir}/keep/a/b/file`, {
          containingDirectory: "create",
          autoRemove: { emptyParentsUntil: `${dir}/keep` },
        });
        file.disposeSync();
        assert.deepEqual(readdirSync(`${dir}/keep`), []);
      }
      const random = await createTempFile(`${dir}/keep/c`, {
        containingDirectory: { retries: { entireDirectory: 1 } },
        autoRemove: { emptyParentsUntil: `${dir}/keep` },
      });
      await random.dispose();
      assert.deepEqual(readdirSync(`${dir}/keep`), []);
    }));

  test("is refused with a boundary that does not contain it, before anything is made", () =>
    withTempDir(async (dir) => {
      for (const boundary of [`${dir}/b`, `${dir}/a/file`, `${dir}/a/../a`]) {
        const error = await failure(() =>
          tempFileAt(`${dir}/a/file`, {
            containingDirectory: "create",
            autoRemove: { emptyParentsUntil: boundary },
          })
        );
        assert.ok(error instanceof TypeError, String(error));
      }
      assert.deepEqual(readdirSync(dir), []);
    }));

  test("that cannot be made leaves no directories made for it", () =>
    withTempDir(async (dir) => {
      const adapter = new FaultFs(systemAdapter(), [
        { kinds: ["open"], errno: "EMFILE", nth: 2, times: "always" },
      ]);
      const error = await failure(() =>
        tempFileAt(`${dir}/a/b/file`, {
          containingDirectory: "create",
          autoRemove: { emptyParentsUntil: dir },
          adapter,
        })
      );
      assert.equal(error.code, "EMFILE");
      assert.deepEqual(readdirSync(dir), []);
    }));

  test("is refused for options that make no sense", () =>
    withTempDir(async (dir) => {
      const wrong: readonly (() => unknown)[] = [
        () => createTempFileSync(dir, { mode: -1 }),
        () => createTempFileSync(dir, { prefix: "a/b" }),
        () => createTempFileSync(dir, { containingDirectory: "maybe" as "exists" }),
        () => createTempFileSync(dir, { autoRemove: {} as "tempfile" }),
        () => tempFileAtSync(`${dir}/`),
        () => tempFileAtSync(""),
      ];
      for (const call of wrong) assert.ok((await failure(call)) instanceof TypeError);
      assert.deepEqual(readdirSync(dir), []);
    }));
});

describe("a writable handle", () => {
  test("writes, seeks and reads, in both colours", () =>
    withTempDir(async (dir) => {
      const file = await createTempFile(dir);
      await file.write("hello ");
      file.writeSync(bytes("world"));
      assert.equal(await file.seek(-5, "end"), 6);
      const buffer = new Uint8Array(20);
      assert.equal(file.readSync(buffer), 5);
      assert.equal(new TextDecoder().decode(buffer.subarray(0, 5)), "world");
      assert.equal(await file.read(buffer), 0);
      assert.equal(file.seekSync(-10, "current"), 1);
      await file.write("E");
      assert.equal(readFileSync(file.path, "utf8"), "hEllo world");
      await assert.rejects(file.seek(-1), TypeError);
      await assert.rejects(file.seek(0.5), TypeError);
      await assert.rejects(file.read([] as unknown as Uint8Array), TypeError);
      await file.dispose();
    }));

  test("runs what is called together in call order", () =>
    withTempDir(async (dir) => {
      const adapter = new FaultFs(systemAdapter(), [
        { kinds: ["write"], delayMs: 5, nth: 1 },
        { kinds: ["write"], short: 1, times: "always" },
      ]);
      const file = createTempFileSync(dir, { adapter });
      const done = [file.write("one "), file.write("two "), file.write("three")];
      assert.throws(() => file.writeSync("x"), { name: "TypeError", message: /asynchronous/ });
      const closing = file.close();
      await Promise.all(done);
      const closed = await closing;
      assert.equal(readFileSync(closed.path, "utf8"), "one two three");
      await closed.dispose();
      assert.deepEqual(readdirSync(dir), []);
    }));

  test("that is disposed of while it writes is removed after the write", () =>
    withTempDir(async (dir) => {
      const adapter = new FaultFs(systemAdapter(), [{ kinds: ["write"], delayMs: 5 }]);
      const file = createTempFileSync(dir, { adapter });
      const writing = file.write("data");
      await Promise.resolve();
      file.disposeSync();
      assert.equal(readdirSync(dir).length, 1);
      await assert.rejects(file.write("more"), { name: "TypeError", message: /was disposed/ });
      await writing;
      assert.deepEqual(readdirSync(dir), []);
      assert.equal(adapter.openHandles, 0);
    }));

  test("tells what a full disk did not take, and goes on", () =>
    withTempDir(async (dir) => {
      const adapter = new FaultFs(systemAdapter(), [
        { kinds: ["write"], short: 3, nth: 1 },
        { kinds: ["write"], errno: "ENOSPC", nth: 2 },
      ]);
      const file = createTempFileSync(dir, { adapter });
      assert.equal((await failure(() => file.write("abcdef"))).code, "ENOSPC");
      assert.equal(await file.seek(0, "current"), 3);
      await file.write("DEF");
      assert.equal(readFileSync(file.path, "utf8"), "abcDEF");
      await file.dispose();
    }));

  test("is used up by close, and the closed one goes on", () =>
    withTempDir(async (dir) => {
      const file = createTempFileSync(dir);
      file.writeSync("content");
      const closed = await file.close();
      assert.ok(closed instanceof ClosedTempFile && !(closed instanceof WritableTempFile));
      assert.deepEqual([closed.path, closed.id], [file.path, file.id]);
      for (
        const call of [() => file.write(""), () => file.close(), () => file.persist(`${dir}/x`)]
      ) {
        assert.match((await failure(call)).message, /was closed: use the ClosedTempFile/);
      }
      // It owns nothing any more.
      await file.dispose();
      assert.ok(existsSync(closed.path));
      closed.disposeSync();
      closed.disposeSync();
      assert.deepEqual(readdirSync(dir), []);
    }));

  test("can be taken: the file stays, and no cleanup knows it", () =>
    withTempDir(async (dir) => {
      const one = createTempFileSync(dir);
      one.writeSync("kept");
      const path = one.takeSync();
      const two = await (await markTempFileAt(`${dir}/mark`)).take();
      assert.deepEqual(cleanupTempFiles(), []);
      assert.equal(readFileSync(path, "utf8"), "kept");
      assert.equal(two, `${dir}/mark`);
      assert.match((await failure(() => one.write(""))).message, /the handle was taken/);
      one.disposeSync();
      assert.equal(readdirSync(dir).length, 2);
    }));

  test("is disposed of by using, in both colours", () =>
    withTempDir(async (dir) => {
      createTempFileSync(dir)[Symbol.dispose]();
      await (await createTempFile(dir))[Symbol.asyncDispose]();
      assert.deepEqual(readdirSync(dir), []);
    }));
});

describe("withFile", () => {
  test("keeps cleanups away, and endings out", () =>
    withTempDir(async (dir) => {
      const file = createTempFileSync(dir);
      const answer = await file.withFile(async (inside) => {
        await inside.write("a");
        assert.deepEqual(cleanupTempFiles(), []);
        for (const end of [() => inside.close(), () => inside.take(), () => inside.persist("x")]) {
          assert.match((await failure(end)).message, /inside withFile/);
        }
        inside.writeSync("b");
        return 42;
      });
      assert.equal(answer, 42);
      assert.equal(file.withFileSync((inside) => inside.seekSync(0, "current")), 2);
      assert.throws(() =>
        file.withFileSync(() => {
          throw new RangeError("mine");
        }), RangeError);
      assert.deepEqual(cleanupTempFiles(), [file.path]);
      assert.equal((await failure(() => file.withFile(() => 0))).code, "ENOENT");
      file.disposeSync();
    }));
});

describe("persist", () => {
  test("publishes durably, keeps the target's mode, and ends the handle", () =>
    withTempDir(async (dir) => {
      writeFileSync(`${dir}/old`, "old", { mode: 0o644 });
      const adapter = new FaultFs(systemAdapter());
      const file = createTempFileSync(dir, { adapter });
      file.writeSync("new");
      const before = adapter.log.length;
      const receipt = await file.persist(`${dir}/old`);
      assert.equal(
        adapter.log.slice(before).map(({ kind }) => kind).filter((kind) => !/pin/.test(kind))
          .join(" "),
        `lstat fstat ${
          file.path.endsWith("l") ? "" : "lstat "
        }fchmod fsync openDir rename close fsyncDir closeDir`,
      );
      assert.deepEqual([receipt.path, receipt.bytes, receipt.durability], [
        `${dir}/old`,
        3,
        "full",
      ]);
      assert.equal(readFileSync(`${dir}/old`, "utf8"), "new");
      assert.equal(statSync(`${dir}/old`).mode & 0o777, 0o644);
      assert.deepEqual(readdirSync(dir), ["old"]);
      assert.match((await failure(() => file.persist(`${dir}/x`))).message, /was persisted/);
      assert.equal(adapter.openHandles, 0);
    }));

  test("takes the options of an atomic write", () =>
    withTempDir(async (dir) => {
      const target = `${dir}/sub/new`;
      const file = createTempFileSync(dir);
      assert.equal((await failure(() => file.persist(target))).code, "ENOENT");
      await file.persist(target, {
        parents: "create",
        mode: 0o755,
        mtime: 1_000,
        durability: "none",
      });
      assert.deepEqual([statSync(target).mode & 0o777, statSync(target).mtimeMs], [0o755, 1_000]);
      const second = createTempFileSync(dir);
      assert.equal(
        (await failure(() => second.persist(target, { existing: "fail" }))).code,
        "EEXIST",
      );
      second.persistSync(`${dir}/other`, { existing: "fail" });
      // The mode of the temporary file, for a new target.
      assert.equal(statSync(`${dir}/other`).mode & 0o777, 0o600);
      symlinkSync("other", `${dir}/link`);
      const third = createTempFileSync(dir);
      third.writeSync("through the link");
      assert.equal(
        (await failure(() => third.persist(`${dir}/link`, { symlink: "refuse" }))).code,
        "ELOOP",
      );
      third.persistSync(`${dir}/link`);
      assert.equal(readFileSync(`${dir}/other`, "utf8"), "through the link");
      assert.deepEqual(readdirSync(dir).sort(), ["link", "other", "sub"]);
    }));

  test("works from a closed handle and from a mark, and keeps directories made for it", () =>
    withTempDir(async (dir) => {
      const file = createTempFileSync(dir);
      file.writeSync("closed");
      await file.closeSync().persist(`${dir}/a`);
      const mark = markTempFileAtSync(`${dir}/b/c/mark`, {
        containingDirectory: "create",
        autoRemove: { emptyParentsUntil: dir },
      });
      mark.persistSync(`${dir}/b/c/done`);
      assert.equal(readFileSync(`${dir}/a`, "utf8"), "closed");
      assert.deepEqual(readdirSync(`${dir}/b/c`), ["done"]);
    }));

  test("that fails gives the handle back, in the error, usable", () =>
    withTempDir(async (dir) => {
      for (const close of [false, true]) {
        mkdirSync(`${dir}/dir`);
        const open = createTempFileSync(dir);
        open.writeSync("content");
        const file = close ? open.closeSync() : open;
        const error = await failure(() => file.persist(`${dir}/dir`));
        assert.ok(error instanceof PersistError);
        assert.deepEqual([error.code, error.handle], ["EISDIR", file]);
        assert.match(error.message, /nothing was published; the handle can still be used$/);
        rmdirSync(`${dir}/dir`);
        (error.handle as typeof file).persistSync(`${dir}/dir`);
        assert.equal(readFileSync(`${dir}/dir`, "utf8"), "content");
        rmSync(`${dir}/dir`);
      }
    }));

  test("to another file system says so, and changes nothing for a second try", () =>
    withTempDir(async (dir) => {
      writeFileSync(`${dir}/wide`, "old", { mode: 0o666 });
      mkdirSync(`${dir}/else`);
      const adapter = new FaultFs(systemAdapter(), [{ kinds: ["rename"], errno: "EXDEV", nth: 1 }]);
      const file = createTempFileSync(`${dir}/else`, { adapter });
      const error = await failure(() => file.persist(`${dir}/wide`));
      assert.ok(error instanceof PersistError && error.code === "EXDEV");
      assert.match(error.message, /same file system needed/);
      assert.equal(readFileSync(`${dir}/wide`, "utf8"), "old");
      await file.persist(`${dir}/new`);
      assert.equal(statSync(`${dir}/new`).mode & 0o777, 0o600);
    }));

  test("never calls a file durable whose fsync has failed", () =>
    withTempDir(async (dir) => {
      const adapter = new FaultFs(systemAdapter(), [{ kinds: ["fsync"], errno: "EIO", nth: 1 }]);
      const file = createTempFileSync(dir, { adapter });
      file.writeSync("content");
      assert.equal((await failure(() => file.persist(`${dir}/a`))).code, "EIO");
      const second = await failure(() => file.persist(`${dir}/a`));
      assert.match(
        second.message,
        /FsyncFailed \(an fsync of the temporary file has failed before/,
      );
      assert.equal(adapter.log.filter(({ kind }) => kind === "fsync").length, 1);
      assert.equal(file.persistSync(`${dir}/a`, { durability: "none" }).durability, "none");
    }));

  test("of a file that a cleanup took says so, and publishes nothing", () =>
    withTempDir(async (dir) => {
      for (
        const make of [() => createTempFileSync(dir), () => markTempFileAtSync(`${dir}/mark`)]
      ) {
        const file = make();
        assert.deepEqual(cleanupTempFiles(), [file.path]);
        const error = await failure(() => file.persist(`${dir}/a`));
        assert.equal(error.code, "ENOENT");
        assert.match(error.message, /The tempfile with id \d+ wasn't available anymore$/);
        assert.deepEqual(readdirSync(dir), []);
        file.disposeSync();
      }
    }));

  test("never publishes a stranger's file that has taken the name", () =>
    withTempDir(async (dir) => {
      const file = tempFileAtSync(`${dir}/name`);
      file.writeSync("ours");
      rmSync(`${dir}/name`);
      writeFileSync(`${dir}/name`, "a stranger's");
      assert.equal((await failure(() => file.persist(`${dir}/a`))).code, "ENOENT");
      file.disposeSync();
      assert.deepEqual(readdirSync(dir), ["name"]);
      assert.equal(readFileSync(`${dir}/name`, "utf8"), "a stranger's");
    }));

  test("takes turns with the other writers of the path", () =>
    withTempDir(async (dir) => {
      const file = createTempFileSync(dir);
      file.writeSync("older");
      const persisting = file.persist(`${dir}/a`);
      atomicWriteSync(`${dir}/a`, "newer");
      assert.equal((await persisting).superseded, true);
      assert.equal(readFileSync(`${dir}/a`, "utf8"), "newer");
      assert.deepEqual(readdirSync(dir), ["a"]);
    }));

  test("ends by an abort with its reason, and the handle stays usable", () =>
    withTempDir(async (dir) => {
      const file = createTempFileSync(dir);
      const reason = new Error("enough");
      const error = await failure(() =>
        file.persist(`${dir}/a`, { signal: AbortSignal.abort(reason) })
      );
      assert.equal(error, reason);
      assert.deepEqual(readdirSync(dir).length, 1);
      await file.persist(`${dir}/a`);
    }));
});

describe("every operation of a temporary file's life can fail", () => {
  const lives: Readonly<Record<string, (fs: FaultFs) => Promise<unknown>>> = {
    "create, write, close, persist": async (adapter) => {
      const file = await createTempFile("/", { adapter });
      await closeAnd(file, (closed) => closed.persist("/target"));
    },
    "a chosen name with directories": async (adapter) => {
      const file = await tempFileAt("/dirs/a/name", {
        adapter,
        containingDirectory: "create",
        autoRemove: { emptyParentsUntil: "/dirs" },
      });
      await closeAnd(file, (closed) => closed.persist("/target"));
    },
  };
  async function closeAnd(
    file: WritableTempFile,
    end: (closed: ClosedTempFile) => Promise<unknown>,
  ): Promise<void> {
    let handle: WritableTempFile | ClosedTempFile = file;
    try {
      await file.write("content");
      handle = await file.close();
      await end(handle as ClosedTempFile);
    } finally {
      await handle.dispose();
    }
  }
  for (const [name, live] of Object.entries(lives)) {
    test(name, async () => {
      const setup = (): MemoryFs => {
        const fs = new MemoryFs();
        fs.sync.mkdir("/dirs", 0o755);
        const old = fs.sync.open("/target", { access: "write", create: "exclusive" });
        fs.sync.write(old, bytes("old"));
        fs.sync.close(old);
        return fs;
      };
      const plain = new FaultFs(setup());
      await live(plain);
      assert.ok(plain.log.length > 12);
      for (let nth = 1; nth <= plain.log.length; nth++) {
        for (const errno of ["EIO", "ENOENT", "EINTR"]) {
          const disk = setup();
          const adapter = new FaultFs(disk, [{ nth, errno }]);
          let failed: unknown;
          await live(adapter).catch((error) => failed = error);
          const tree = disk.now();
          const where = `${errno} at ${nth}: ${plain.log[nth - 1]?.kind}, ${String(failed)}`;
          assert.ok(["old", "content"].includes(tree.get("/target")?.content ?? ""), where);
          assert.equal(adapter.openHandles, 0, where);
          const left = [...tree.keys()].filter((path) => !["/dirs/", "/target"].includes(path));
          const removal = /unlink|rmdir/.test(plain.log[nth - 1]?.kind ?? "");
          const told = (failed as CrashSafeError | undefined)?.leftover;
          // What was persisted keeps its directory.
          const published = tree.get("/target")?.content === "content";
          if (published && left.join() === "/dirs/a/") continue;
          if (!removal && told === undefined) assert.deepEqual(left, [], where);
          if (failed !== undefined && (failed as Error).name === "PersistError") {
            assert.equal(tree.get("/target")?.content, "old", where);
          }
        }
      }
    });
  }
});

import { describe, test } from "node:test";
import assert from "node:assert/strict";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import {
  atomicWrite,
  atomicWriteAll,
  atomicWriteAllSync,
  atomicWriteSync,
  type CrashSafeError,
  GroupPublishError,
  HashMismatchError,
  PublishError,
  systemAdapter,
  type WriteAllOptions,
  type WriteAllResult,
  type WriteEntry,
} from "@crashsafe/fs";
import { FaultFs, MemoryFs } from "@crashsafe/fs/testing";
import { withTempDir } from "../support/temp_dir.ts";

type WriteAll = (
  entries: readonly WriteEntry[],
  options?: WriteAllOptions,
) => WriteAllResult | Promise<WriteAllResult>;

const BOTH: readonly (readonly [string, WriteAll])[] = [
  ["atomicWriteAll", atomicWriteAll],
  ["atomicWriteAllSync", atomicWriteAllSync],
];

async function failure(run: () => unknown): Promise<CrashSafeError> {
  try {
    await run();
  } catch (error) {
    return error as CrashSafeError;
  }
  return assert.fail("no error");
}

const EMPTY = "99aa06d3014798d86001c324468d497f";

for (const [name, writeAll] of BOTH) {
  describe(name, () => {
    test("publishes all, each as a write of its own would, in one batch", () =>
      withTempDir(async (dir) => {
        mkdirSync(`${dir}/sub`);
        writeFileSync(`${dir}/old`, "old");
        chmodSync(`${dir}/old`, 0o640);
        symlinkSync("sub/target", `${dir}/link`);
        const { receipts, batches } = await writeAll([
          { path: `${dir}/old`, data: "new" },
          { path: `${dir}/new`, data: new TextEncoder().encode("bytes"), mode: 0o600 },
          { path: `${dir}/link`, data: "through", mtime: 1_000 },
          { path: `${dir}/empty`, data: "", hash: EMPTY },
          { path: `${dir}/made/deep/file`, data: "x", parents: "create" },
        ]);
        assert.equal(batches, 1);
        assert.deepEqual(receipts.map(({ path, bytes }) => [path, bytes]), [
          [`${dir}/old`, 3],
          [`${dir}/new`, 5],
          [`${dir}/sub/target`, 7],
          [`${dir}/empty`, 0],
          [`${dir}/made/deep/file`, 1],
        ]);
        assert.ok(receipts.every(({ durability }) => durability === "full"));
        assert.equal(receipts[3]?.hash, EMPTY);
        assert.equal(statSync(`${dir}/old`).mode & 0o777, 0o640);
        assert.equal(statSync(`${dir}/new`).mode & 0o777, 0o600);
        assert.equal(statSync(`${dir}/sub/target`).mtimeMs, 1_000);
        assert.equal(readFileSync(`${dir}/link`, "utf8"), "through");
        assert.deepEqual(readdirSync(dir).sort(), ["empty", "link", "made", "new", "old", "sub"]);
      }));

    test("of nothing is nothing; of one path twice the last wins", () =>
      withTempDir(async (dir) => {
        assert.deepEqual(await writeAll([]), { receipts: [], batches: 0 });
        const path = `${dir}/file`;
        const { receipts } = await writeAll([{ path, data: "first" }, { path, data: "second!" }]);
        assert.deepEqual(receipts.map(({ bytes }) => bytes), [5, 7]);
        assert.equal(readFileSync(path, "utf8"), "second!");
        assert.deepEqual(readdirSync(dir), ["file"]);
      }));

    test("has at most 512 descriptors open, and syncs each directory once a batch", () =>
      withTempDir(async (dir) => {
        let most = 0;
        const adapter = new FaultFs(systemAdapter());
        const entries = Array.from(
          { length: 1_200 },
          (_, index) => ({ path: `${dir}/${index}`, data: `${index}` }),
        );
        const { receipts, batches } = await writeAll(entries, { adapter, durability: "full" });
        let open = 0;
        for (const { kind } of adapter.log) {
          if (kind === "open" || kind === "openDir") open++;
          if (kind === "close" || kind === "closeDir") open--;
          most = Math.max(most, open);
        }
        assert.equal(receipts.length, 1_200);
        assert.equal(batches, 3);
        assert.ok(most <= 512, `${most} were open`);
        assert.equal(adapter.log.filter(({ kind }) => kind === "fsyncDir").length, 3);
        assert.equal(readdirSync(dir).length, 1_200);
        assert.equal(adapter.openHandles, 0);
      }));

    test("publishes nothing when one of them cannot be", () =>
      withTempDir(async (dir) => {
        mkdirSync(`${dir}/directory`);
        writeFileSync(`${dir}/a`, "old");
        const wrong: readonly (readonly [string, WriteEntry])[] = [
          ["EISDIR", { path: `${dir}/directory`, data: "x" }],
          ["ENOENT", { path: `${dir}/none/x`, data: "x" }],
          ["HashMismatch", { path: `${dir}/b`, data: "x", hash: EMPTY }],
          ["EEXIST", { path: `${dir}/a`, data: "x", existing: "fail" }],
        ];
        for (const [code, entry] of wrong) {
          const error = await failure(() => writeAll([{ path: `${dir}/a`, data: "new" }, entry]));
          assert.equal(error.code, code);
          assert.ok(error instanceof PublishError || error instanceof HashMismatchError);
          assert.equal(readFileSync(`${dir}/a`, "utf8"), "old");
          assert.deepEqual(readdirSync(dir).sort(), ["a", "directory"]);
        }
      }));

    test("verifies the bytes of all before it makes so much as a directory", () =>
      withTempDir(async (dir) => {
        const adapter = new FaultFs(systemAdapter());
        const entries: readonly WriteEntry[] = [
          { path: `${dir}/made/deep/a`, data: "x" },
          { path: `${dir}/made/deep/b`, data: "x", hash: EMPTY },
        ];
        const error = await failure(() => writeAll(entries, { adapter, parents: "create" }));
        assert.ok(error instanceof HashMismatchError && error.path === `${dir}/made/deep/b`);
        assert.equal(adapter.trace(), "");
        assert.deepEqual(readdirSync(dir), []);
      }));

    test("refuses misuse before any effect", () =>
      withTempDir(async (dir) => {
        const good = { path: `${dir}/a`, data: "x" };
        const wrong: readonly unknown[] = [
          [good, null],
          [good, { path: `${dir}/b` }],
          [good, { path: "", data: "x" }],
          [good, { ...good, mode: -1 }],
          5,
          undefined,
        ];
        for (const entries of wrong) {
          assert.ok((await failure(() => writeAll(entries as WriteEntry[]))) instanceof TypeError);
        }
        assert.deepEqual(readdirSync(dir), []);
      }));

    test("takes an option that an entry leaves undefined from the call", () =>
      withTempDir(async (dir) => {
        const entry = { path: `${dir}/secret`, data: "x", mode: undefined, durability: undefined };
        const { receipts } = await writeAll([entry as unknown as WriteEntry], {
          mode: 0o600,
          durability: "none",
        });
        assert.equal(receipts[0]?.durability, "none");
        assert.equal(statSync(`${dir}/secret`).mode & 0o777, 0o600);
      }));

    test("says file, not full, when what contains a new directory cannot be synced", () =>
      withTempDir(async (dir) => {
        const adapter = new FaultFs(systemAdapter(), [{
          kinds: ["fsyncDir"],
          errno: "EINVAL",
          path: new RegExp(`${dir}$`),
          times: "always",
        }]);
        mkdirSync(`${dir}/old`);
        const { receipts } = await writeAll(
          ["old/a", "made/b", "made/c"].map((name) => ({ path: `${dir}/${name}`, data: "x" })),
          { adapter, parents: "create" },
        );
        assert.deepEqual(receipts.map(({ durability }) => durability), ["full", "file", "file"]);
        assert.equal(adapter.openHandles, 0);
      }));

    test("asks each directory once whether it can be synced, where that is required", () =>
      withTempDir(async (dir) => {
        const entries = [..."abcde"].map((one) => ({ path: `${dir}/${one}`, data: "x" }));
        const adapter = new FaultFs(systemAdapter());
        await writeAll(entries, { adapter, requireDurability: true });
        assert.equal(adapter.log.filter(({ kind }) => kind === "fsyncDir").length, 2);
        const refusing = new FaultFs(systemAdapter(), [{ kinds: ["fsyncDir"], errno: "EINVAL" }]);
        const more = [..."vwxyz"].map((one) => ({ path: `${dir}/${one}`, data: "x" }));
        const error = await failure(() =>
          writeAll(more, { adapter: refusing, requireDurability: true })
        );
        assert.equal(error.code, "Unsupported");
        assert.deepEqual(readdirSync(dir).sort(), [..."abcde"]);
      }));

    test("says which one nobody can tell about when a commit and the look after it fail", () =>
      withTempDir(async (dir) => {
        for (const name of "abc") writeFileSync(`${dir}/${name}`, "old");
        for (const afterwards of [true, false]) {
          // Each target is looked at before, and after its rename has failed.
          const adapter = new FaultFs(systemAdapter(), [
            { kinds: ["rename"], errno: "EIO", nth: 2, afterwards },
            { kinds: ["lstat"], errno: "EIO", path: /b$/, nth: 2, times: "always" },
          ]);
          const entries = [..."abc"].map((one) => ({ path: `${dir}/${one}`, data: "new" }));
          const error = await failure(() => writeAll(entries, { adapter }));
          assert.ok(error instanceof GroupPublishError, String(error));
          assert.deepEqual(error.published.map(({ path }) => path), [`${dir}/a`]);
          assert.deepEqual(error.unknown, [`${dir}/b`]);
          assert.deepEqual(error.unpublished, [`${dir}/c`]);
          assert.match(
            error.message,
            /1 are in place, 1 are as they were, of 1 it cannot be told$/,
          );
          assert.equal(readFileSync(`${dir}/b`, "utf8"), afterwards ? "new" : "old");
          writeFileSync(`${dir}/b`, "old");
        }
      }));

    test("says exactly which are in place when a commit fails", () =>
      withTempDir(async (dir) => {
        for (const name of "abcd") writeFileSync(`${dir}/${name}`, "old");
        const adapter = new FaultFs(systemAdapter(), [{ kinds: ["rename"], errno: "EIO", nth: 3 }]);
        const entries = [..."abcd"].map((one) => ({ path: `${dir}/${one}`, data: "new" }));
        const error = await failure(() => writeAll(entries, { adapter }));
        assert.ok(error instanceof GroupPublishError);
        assert.deepEqual(error.published.map(({ path, durability }) => [path, durability]), [
          [`${dir}/a`, "full"],
          [`${dir}/b`, "full"],
        ]);
        assert.deepEqual(error.unpublished, [`${dir}/c`, `${dir}/d`]);
        assert.match(error.message, /2 are in place, 2 are as they were$/);
        assert.deepEqual([..."abcd"].map((one) => readFileSync(`${dir}/${one}`, "utf8")), [
          "new",
          "new",
          "old",
          "old",
        ]);
        assert.deepEqual(readdirSync(dir).sort(), [..."abcd"]);
        assert.equal(adapter.openHandles, 0);
      }));

    test("says what may not survive when a directory cannot be synced", () =>
      withTempDir(async (dir) => {
        mkdirSync(`${dir}/good`);
        mkdirSync(`${dir}/bad`);
        const adapter = new FaultFs(systemAdapter(), [{
          kinds: ["fsyncDir"],
          errno: "EIO",
          path: /bad$/,
        }]);
        const error = await failure(() =>
          writeAll([{ path: `${dir}/good/a`, data: "1" }, { path: `${dir}/bad/b`, data: "2" }], {
            adapter,
          })
        );
        assert.ok(error instanceof GroupPublishError);
        assert.deepEqual(error.published.map(({ durability }) => durability), ["full", "file"]);
        assert.deepEqual(error.unpublished, []);
        assert.ok(existsSync(`${dir}/bad/b`));
        assert.equal(adapter.openHandles, 0);
      }));

    test("tells of earlier batches when a later one fails", () =>
      withTempDir(async (dir) => {
        const entries = Array.from(
          { length: 600 },
          (_, index) => ({ path: `${dir}/${index}`, data: "x" }),
        );
        const adapter = new FaultFs(systemAdapter(), [{
          kinds: ["open"],
          errno: "EMFILE",
          path: /\.599\./,
        }]);
        const error = await failure(() => writeAll(entries, { adapter, durability: "none" }));
        assert.ok(error instanceof GroupPublishError);
        assert.equal(error.published.length, readdirSync(dir).length);
        assert.equal(error.published.length + error.unpublished.length, 600);
      }));

    test("leaves nothing half-done at a failure of any operation", async () => {
      const setup = (): MemoryFs => {
        const disk = new MemoryFs();
        for (const path of ["/a", "/b"]) {
          const file = disk.sync.open(path, { access: "write", create: "exclusive", mode: 0o644 });
          disk.sync.write(file, new TextEncoder().encode("old"));
          disk.sync.close(file);
        }
        return disk;
      };
      const entries = ["/a", "/b", "/c"].map((path) => ({ path, data: "new" }));
      const plain = new FaultFs(setup());
      await writeAll(entries, { adapter: plain });
      for (let nth = 1; nth <= plain.log.length; nth++) {
        for (const errno of ["EIO", "ENOSPC", "EINTR"]) {
          const disk = setup();
          const adapter = new FaultFs(disk, [{ nth, errno }]);
          const failed = await Promise.resolve().then(() => writeAll(entries, { adapter })).then(
            () => undefined,
            (error) => error,
          );
          const where = `${errno} at ${nth}: ${plain.log[nth - 1]?.kind}, ${String(failed)}`;
          const tree = disk.now();
          const inPlace = entries.filter(({ path }) => tree.get(path)?.content === "new").map((
            { path },
          ) => path);
          for (const { path } of entries) {
            assert.ok(["old", "new", undefined].includes(tree.get(path)?.content), where);
          }
          assert.equal(adapter.openHandles, 0, where);
          if (failed === undefined) assert.equal(inPlace.length, 3, where);
          else if (failed instanceof GroupPublishError) {
            assert.deepEqual(failed.published.map(({ path }) => path), inPlace, where);
            assert.deepEqual(
              failed.unpublished,
              entries.map(({ path }) => path).filter((path) => !inPlace.includes(path)),
              where,
            );
          } else assert.deepEqual(inPlace, [], where);
          const strange = [...tree.keys()].filter((path) => !["/a", "/b", "/c"].includes(path));
          if (plain.log[nth - 1]?.kind !== "unlink") assert.deepEqual(strange, [], where);
        }
      }
    });
  });
}

describe("the trace of a group", () => {
  test("asynchronous: fsyncs side by side", async () => {
    const adapter = new FaultFs(new MemoryFs());
    await atomicWriteAll(["/a", "/b"].map((path) => ({ path, data: "x" })), { adapter });
    const one = "lstat openDir open flock fstat write";
    const other = "lstat open flock fstat write";
    assert.equal(
      adapter.trace(),
      `${one} ${other} fsync fsync rename close rename close fsyncDir closeDir`,
    );
  });

  test("synchronous: one syncfs from eight files on, and their fsyncs when that fails", () => {
    const entries = Array.from({ length: 9 }, (_, index) => ({ path: `/${index}`, data: "x" }));
    const count = (adapter: FaultFs, kind: string): number =>
      adapter.log.filter((one) => one.kind === kind).length;
    const adapter = new FaultFs(new MemoryFs());
    atomicWriteAllSync(entries, { adapter });
    assert.deepEqual([count(adapter, "syncFs"), count(adapter, "fsync")], [1, 0]);
    const few = new FaultFs(new MemoryFs());
    atomicWriteAllSync(entries.slice(2), { adapter: few });
    assert.deepEqual([count(few, "syncFs"), count(few, "fsync")], [0, 7]);
    const failing = new FaultFs(new MemoryFs(), [{ kinds: ["syncFs"], errno: "EIO" }]);
    atomicWriteAllSync(entries, { adapter: failing });
    assert.deepEqual([count(failing, "syncFs"), count(failing, "fsync")], [1, 9]);
    const first = adapter.log.findIndex(({ kind }) => kind === "write");
    const dir = adapter.log.findIndex(({ kind }) => kind === "openDir");
    assert.ok(dir >= 0 && dir < first, "opened before the first write");
  });
});

test("after a failed syncfs the fsync of each file tells whose data is lost, and nothing is published", () => {
  const disk = new MemoryFs();
  const adapter = new FaultFs(disk, [
    { kinds: ["syncFs"], errno: "EIO" },
    { kinds: ["fsync"], errno: "EIO", path: /\.5\./ },
  ]);
  const entries = Array.from({ length: 9 }, (_, index) => ({ path: `/${index}`, data: "x" }));
  assert.throws(() => atomicWriteAllSync(entries, { adapter }), (error) => {
    assert.ok(error instanceof PublishError && error.code === "EIO");
    assert.equal(error.path, "/5");
    return true;
  });
  assert.deepEqual([...disk.now().keys()], []);
  assert.deepEqual(adapter.hazards, []);
  assert.equal(adapter.openHandles, 0);
});

describe("a group among other writers", () => {
  test("takes turns: two groups with the same paths in different orders end", () =>
    withTempDir(async (dir) => {
      const group = (data: string, names: string): Promise<WriteAllResult> =>
        atomicWriteAll([...names].map((one) => ({ path: `${dir}/${one}`, data })));
      await Promise.all([group("1", "abc"), group("2", "cba"), group("3", "bac")]);
      assert.deepEqual([..."abc"].map((one) => readFileSync(`${dir}/${one}`, "utf8")), [
        "3",
        "3",
        "3",
      ]);
    }));

  test("takes its turns in the call itself", () =>
    withTempDir(async (dir) => {
      const path = `${dir}/file`;
      const group = atomicWriteAll([{ path, data: "group" }]);
      await Promise.all([group, atomicWrite(path, "later")]);
      assert.equal(readFileSync(path, "utf8"), "later");
    }));

  test("is overtaken by a synchronous write, and overtakes as one", () =>
    withTempDir(async (dir) => {
      const [a, b] = [`${dir}/a`, `${dir}/b`];
      const group = atomicWriteAll([{ path: a, data: "group" }, { path: b, data: "group" }]);
      atomicWriteSync(a, "sync");
      const { receipts } = await group;
      assert.deepEqual(receipts.map(({ superseded }) => superseded), [true, undefined]);
      assert.deepEqual([readFileSync(a, "utf8"), readFileSync(b, "utf8")], ["sync", "group"]);
      const waiting = atomicWrite(a, "waiting");
      atomicWriteAllSync([{ path: a, data: "all" }]);
      assert.equal((await waiting).superseded, true);
      assert.equal(readFileSync(a, "utf8"), "all");
      assert.deepEqual(readdirSync(dir).sort(), ["a", "b"]);
    }));

  test("has lost when it wanted to be the one that creates a file, and publishes nothing", () =>
    withTempDir(async (dir) => {
      const [a, b] = [`${dir}/a`, `${dir}/b`];
      const entries: readonly WriteEntry[] = [
        { path: a, data: "group" },
        { path: b, data: "group", existing: "fail" },
      ];
      const adapter = new FaultFs(systemAdapter(), [{
        kinds: ["fsync"],
        delayMs: 5,
        times: "always",
      }]);
      const begun = atomicWriteAll(entries, { adapter });
      atomicWriteSync(b, "sync");
      const error = await failure(() => begun);
      assert.ok(error instanceof PublishError && error.code === "EEXIST");
      assert.equal(error.path, b);
      assert.deepEqual(readdirSync(dir), ["b"]);
      assert.equal(readFileSync(b, "utf8"), "sync");
      // Overtaken before its turn has come.
      const waiting = [
        atomicWrite(a, "before", { adapter }),
        atomicWriteAll([
          { path: `${dir}/c`, data: "group" },
          { path: a, data: "group", existing: "fail" },
        ]),
      ];
      atomicWriteSync(a, "sync");
      assert.equal((await failure(() => waiting[1])).code, "EEXIST");
      await waiting[0];
      assert.deepEqual(readdirSync(dir).sort(), ["a", "b"]);
    }));

  test("is overtaken between two of its commits of one path", () =>
    withTempDir(async (dir) => {
      const path = `${dir}/file`;
      // A file that is in use for a moment: the second commit waits, and others have the thread.
      const base = systemAdapter();
      const adapter = new FaultFs({ ...base, transientRenameErrors: ["EBUSY"] }, [{
        kinds: ["rename"],
        errno: "EBUSY",
        nth: 2,
      }]);
      const group = atomicWriteAll([{ path, data: "first" }, { path, data: "second" }], {
        adapter,
      });
      while (!adapter.log.some(({ kind, outcome }) => kind === "rename" && outcome === "EBUSY")) {
        await new Promise((resolve) => setTimeout(resolve));
      }
      atomicWriteSync(path, "sync");
      const { receipts } = await group;
      assert.deepEqual(receipts.map(({ superseded }) => superseded), [undefined, true]);
      assert.equal(readFileSync(path, "utf8"), "sync");
      assert.deepEqual(readdirSync(dir), ["file"]);
    }));

  test("ends by an abort with its reason, before its first commit", () =>
    withTempDir(async (dir) => {
      const abort = new AbortController();
      const reason = new Error("enough");
      const adapter = new FaultFs(systemAdapter(), [{
        kinds: ["fsync"],
        delayMs: 5,
        times: "always",
      }]);
      const group = atomicWriteAll(
        [..."abc"].map((one) => ({ path: `${dir}/${one}`, data: "x" })),
        {
          adapter,
          signal: abort.signal,
        },
      );
      abort.abort(reason);
      assert.equal(await failure(() => group), reason);
      assert.deepEqual(readdirSync(dir), []);
      assert.equal(adapter.openHandles, 0);
    }));

  describe("that pauses before its first commit", () => {
    const names = [..."abc"];

    /** A group that pauses wherever it may; `during` runs in each pause after the last fsync has ended. */
    function pausing(during: () => void): FaultFs {
      const inner = systemAdapter();
      let now = 0;
      const sleep = async (): Promise<void> => {
        const synced = adapter.log.filter(({ kind, outcome }) =>
          kind === "fsync" && outcome === "ok"
        );
        if (synced.length >= names.length) during();
        await null;
      };
      const adapter = new FaultFs(Object.create(inner, {
        process: { value: { ...inner.process, now: () => now++ } },
        async: { value: { ...inner.async, sleep } },
      }));
      return adapter;
    }

    test("is still ended by an abort, and publishes nothing", () =>
      withTempDir(async (dir) => {
        const abort = new AbortController();
        const reason = new Error("enough");
        let renamed = -1;
        const adapter = pausing(() => {
          if (abort.signal.aborted) return;
          renamed = adapter.log.filter(({ kind }) => kind === "rename").length;
          abort.abort(reason);
        });
        const { signal } = abort;
        const entries = names.map((one) => ({ path: `${dir}/${one}`, data: "x" }));
        assert.equal(await failure(() => atomicWriteAll(entries, { adapter, signal })), reason);
        assert.equal(renamed, 0);
        assert.deepEqual(readdirSync(dir), []);
        assert.equal(adapter.openHandles, 0);
      }));

    test("still publishes nothing when it is not the one that creates a file", () =>
      withTempDir(async (dir) => {
        let done = false;
        const adapter = pausing(() => {
          if (!done) atomicWriteSync(`${dir}/c`, "sync");
          done = true;
        });
        const entries: readonly WriteEntry[] = names.map((one) => ({
          path: `${dir}/${one}`,
          data: "x",
          existing: "fail",
        }));
        const error = await failure(() => atomicWriteAll(entries, { adapter }));
        assert.ok(error instanceof PublishError && error.code === "EEXIST");
        assert.deepEqual(readdirSync(dir), ["c"]);
      }));

    test("leaves nothing when it cannot pause", () =>
      withTempDir(async (dir) => {
        for (let nth = 1;; nth++) {
          let pauses = 0;
          const inner = pausing(() => {});
          const adapter = new FaultFs(inner, [{ kinds: ["sleep"], errno: "EINTR", nth }]);
          const entries = names.map((one) => ({ path: `${dir}/${nth}${one}`, data: "x" }));
          const error = await atomicWriteAll(entries, { adapter }).then(() => undefined, (e) => e);
          pauses = adapter.log.filter(({ kind }) => kind === "sleep").length;
          assert.equal(adapter.openHandles, 0, adapter.story());
          const there = entries.map(({ path }) => path).filter((path) => existsSync(path));
          if (pauses < nth) {
            assert.ok(nth > 5);
            break;
          }
          if (error instanceof GroupPublishError) {
            assert.deepEqual(error.published.map(({ path }) => path), there);
            assert.ok(there.length > 0);
          } else {
            assert.ok(error instanceof PublishError, String(error));
            assert.deepEqual(there, []);
          }
        }
        assert.ok(readdirSync(dir).every((one) => !one.includes(".cs1")));
      }));
  });

  test("reads entries batch by batch, from anything that can be iterated", () =>
    withTempDir(async (dir) => {
      let ahead = 0;
      async function* entries(): AsyncGenerator<WriteEntry> {
        for (let index = 0; index < 1_100; index++) {
          const there = readdirSync(dir).length;
          ahead = Math.max(ahead, index - there);
          yield { path: `${dir}/${index}`, data: `${index}` };
        }
      }
      const { receipts, batches } = await atomicWriteAll(entries(), { durability: "none" });
      assert.deepEqual([receipts.length, batches], [1_100, 3]);
      assert.ok(ahead <= 512, `${ahead} were read ahead`);
    }));
});

import { describe, test } from "node:test";
import assert from "node:assert/strict";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import {
  cleanupTempDirs,
  cleanupTempDirsSync,
  type CrashSafeError,
  DurabilityUnknownError,
  FileLock,
  type FsAdapter,
  recoverStaleDirs,
  recoverStaleDirsSync,
  RecoveryError,
  type SyncFsOps,
  systemAdapter,
  TempDir,
} from "@crashsafe/fs";
import { FaultFs, MemoryFs } from "@crashsafe/fs/testing";
import { withTempDir } from "../support/temp_dir.ts";

const ID = "a".repeat(26);

async function failure(run: () => unknown): Promise<CrashSafeError> {
  try {
    await run();
  } catch (error) {
    return error as CrashSafeError;
  }
  return assert.fail("no error");
}

describe("a temporary directory", () => {
  test("lies beside its lock in a root that is made, both for the owner alone", () =>
    withTempDir(async (dir) => {
      const root = `${dir}/a/root`;
      const temp = await TempDir.create(root);
      const [lock = "", own = ""] = readdirSync(root).sort();
      assert.match(lock, /^lock-[a-z2-7]{26}$/);
      assert.equal(own, lock.replace("lock-", "temp-dir-"));
      assert.equal(temp.path, `${root}/${own}`);
      assert.equal(temp.root, root);
      assert.equal(statSync(root).mode & 0o777, 0o700);
      assert.equal(statSync(temp.path).mode & 0o777, 0o700);
      assert.equal(statSync(`${root}/${lock}`).mode & 0o777, 0o600);
      assert.equal(FileLock.tryAcquireSync(`${root}/${lock}`), null);
      await temp.cleanup();
      assert.deepEqual(readdirSync(root), []);
    }));

  test("is born locked: its lock file has no moment without a lock", () => {
    const disk = new MemoryFs();
    const adapter = new FaultFs(disk);
    TempDir.createSync("/root", { adapter });
    assert.equal(
      adapter.trace(),
      "stat mkdir open flock fstat link unlink mkdir",
    );
    assert.equal(
      adapter.log.find(({ kind }) => kind === "link")?.dest?.slice(0, 11),
      "/root/lock-",
    );
  });

  test("stages files, directories and links, numbered, under their names", () =>
    withTempDir(async (dir) => {
      const temp = await TempDir.create(`${dir}/root`);
      writeFileSync(`${dir}/file`, "content");
      mkdirSync(`${dir}/tree/deep`, { recursive: true });
      symlinkSync("nowhere", `${dir}/link`);
      const odd = `${dir}/ odd\n-name`;
      writeFileSync(odd, "odd");
      assert.equal(await temp.stageDeletion(`${dir}/file`), `${temp.path}/0-file`);
      assert.equal(temp.stageDeletionSync(`${dir}/tree/`), `${temp.path}/1-tree`);
      assert.equal(await temp.stageDeletion(`${dir}/link`), `${temp.path}/2-link`);
      assert.equal(await temp.stageDeletion(odd), `${temp.path}/3- odd\n-name`);
      assert.equal(readFileSync(`${temp.path}/0-file`, "utf8"), "content");
      assert.ok(lstatSync(`${temp.path}/1-tree/deep`).isDirectory());
      assert.equal(readlinkSync(`${temp.path}/2-link`), "nowhere");
      assert.deepEqual(readdirSync(dir), ["root"]);
      await temp.cleanup();
      assert.deepEqual(readdirSync(`${dir}/root`), []);
    }));

  test("goes on counting after a failure, and takes names of any length", () =>
    withTempDir(async (dir) => {
      const temp = TempDir.createSync(`${dir}/root`);
      assert.equal((await failure(() => temp.stageDeletion(`${dir}/none`))).code, "ENOENT");
      const long = `${dir}/${"x".repeat(255)}`;
      writeFileSync(long, "");
      assert.match(temp.stageDeletionSync(long), /\/1-x{240}$/);
      for (const wrong of ["/", `${dir}/..`, `${dir}/.`, ""]) {
        assert.ok((await failure(() => temp.stageDeletion(wrong))) instanceof TypeError, wrong);
      }
      temp.cleanupSync();
    }));

  test("says so when something is on another file system, and has moved nothing", async () => {
    const disk = new MemoryFs();
    disk.sync.mkdir("/other", 0o755);
    const adapter = new FaultFs(disk, [{
      kinds: ["rename", "link"],
      errno: "EXDEV",
      times: "always",
    }]);
    const temp = TempDir.createSync("/root", { adapter: disk });
    assert.ok(temp.path);
    const faulty = await failure(() => TempDir.createSync("/root", { adapter }));
    assert.equal(faulty.code, "EXDEV");
    const late = new FaultFs(disk, [{ kinds: ["rename"], errno: "EXDEV", times: "always" }]);
    const mine = TempDir.createSync("/root", { adapter: late });
    const error = await failure(() => mine.stageDeletion("/other", { durability: "full" }));
    assert.equal(error.code, "EXDEV");
    assert.match(error.message, /the same file system is needed\), nothing was moved$/);
    assert.ok(disk.now().has("/other/"));
    // All that is open is its lock.
    assert.equal(late.openHandles, 1);
  });

  test("makes a deletion durable by both directories, opened before and synced after", () => {
    const disk = new MemoryFs();
    disk.sync.mkdir("/data", 0o755);
    disk.sync.close(disk.sync.open("/data/file", { access: "write", create: "exclusive" }));
    const adapter = new FaultFs(disk);
    const temp = TempDir.createSync("/root", { adapter });
    const before = adapter.log.length;
    temp.stageDeletionSync("/data/file", { durability: "full" });
    assert.equal(
      adapter.log.slice(before).map(({ kind }) => kind).join(" "),
      // The root was just made: what contains it comes first.
      "openDir fsyncDir closeDir openDir openDir rename fsyncDir fsyncDir closeDir closeDir",
    );
  });

  test("that was moved but not made durable says where it is", async () => {
    const disk = new MemoryFs();
    disk.sync.mkdir("/data", 0o755);
    const adapter = new FaultFs(disk, [{
      kinds: ["fsyncDir"],
      errno: "EIO",
      path: "/root/temp-dir-",
    }]);
    const temp = TempDir.createSync("/root", { adapter });
    const error = await failure(() => temp.stageDeletion("/data", { durability: "full" }));
    assert.ok(error instanceof DurabilityUnknownError && error.committed === true);
    assert.match(error.message, /it is "\/root\/temp-dir-[a-z2-7]+\/0-data" now/);
    assert.equal(adapter.openHandles, 1);
  });
});

describe("a staged addition", () => {
  test("appears all at once: a directory by rename, a file and a link by link and unlink", () =>
    withTempDir(async (dir) => {
      const temp = await TempDir.create(`${dir}/root`);
      const tree = temp.stageAddition();
      assert.match(tree.path, /\/0-addition$/);
      assert.ok(!existsSync(tree.path));
      mkdirSync(`${tree.path}/sub`, { recursive: true });
      writeFileSync(`${tree.path}/sub/file`, "in a tree");
      await tree.commit(`${dir}/tree`, { durability: "full" });
      const file = temp.stageAddition();
      writeFileSync(file.path, "alone");
      file.commitSync(`${dir}/file`, { durability: "full" });
      const link = temp.stageAddition();
      symlinkSync("file", link.path);
      await link.commit(`${dir}/link`);
      assert.equal(readFileSync(`${dir}/tree/sub/file`, "utf8"), "in a tree");
      assert.equal(readFileSync(`${dir}/link`, "utf8"), "alone");
      assert.equal(statSync(`${dir}/file`).nlink, 1);
      assert.deepEqual(readdirSync(temp.path), []);
      for (const again of [() => tree.commit(`${dir}/x`), () => file.commitSync(`${dir}/x`)]) {
        assert.match((await failure(again)).message, /was committed already/);
      }
      await temp.cleanup();
    }));

  test("never replaces anything, and can be committed elsewhere after a failure", () =>
    withTempDir(async (dir) => {
      const temp = await TempDir.create(`${dir}/root`);
      writeFileSync(`${dir}/taken`, "old");
      mkdirSync(`${dir}/empty`);
      for (
        const [index, fill] of [mkdirSync, (path: string) => writeFileSync(path, "new")].entries()
      ) {
        const addition = temp.stageAddition();
        const nothing = await failure(() => addition.commit(`${dir}/free`));
        assert.equal(nothing.code, "ENOENT");
        assert.match(nothing.message, /nothing was put there/);
        fill(addition.path);
        for (const taken of ["taken", "empty", "root"]) {
          const error = await failure(() => addition.commit(`${dir}/${taken}`));
          assert.equal(error.code, "EEXIST");
        }
        await addition.commit(`${dir}/free-${index}`);
      }
      assert.equal(readFileSync(`${dir}/taken`, "utf8"), "old");
      await temp.cleanup();
    }));

  test("loses against a name taken in the last moment", async () => {
    const disk = new MemoryFs();
    const temp = TempDir.createSync("/root", { adapter: disk });
    const addition = temp.stageAddition();
    disk.sync.close(disk.sync.open(addition.path, { access: "write", create: "exclusive" }));
    disk.onOperation = ({ operation, text }) => {
      if (operation !== "lstat" || !text.includes("/dest")) return;
      disk.onOperation = undefined;
      disk.sync.mkdir("/dest", 0o700);
    };
    assert.equal((await failure(() => addition.commit("/dest"))).code, "EEXIST");
    assert.ok(disk.now().has(addition.path));
  });
});

describe("the end of a temporary directory", () => {
  test("comes once; staging after it is refused", () =>
    withTempDir(async (dir) => {
      const temp = await TempDir.create(`${dir}/root`);
      const addition = temp.stageAddition();
      await temp.cleanup();
      await temp.cleanup();
      temp.cleanupSync();
      for (
        const late of [
          () => temp.stageDeletion(`${dir}/root`),
          () => temp.stageAddition(),
          () => addition.commit(`${dir}/x`),
        ]
      ) {
        const error = await failure(late);
        assert.ok(error instanceof TypeError);
        assert.match(error.message, /was cleaned up$/);
      }
      assert.deepEqual(readdirSync(dir), ["root"]);
    }));

  test("that fails keeps the lock and can be tried again", async () => {
    const disk = new MemoryFs();
    const adapter = new FaultFs(disk, [{
      kinds: ["unlink"],
      errno: "EIO",
      path: "0-file",
      nth: 1,
    }]);
    disk.sync.close(disk.sync.open("/file", { access: "write", create: "exclusive" }));
    const temp = TempDir.createSync("/root", { adapter });
    temp.stageDeletionSync("/file");
    const error = await failure(() => temp.cleanup());
    assert.equal(error.code, "EIO");
    assert.match(error.message, /stay$/);
    assert.deepEqual(recoverStaleDirsSync("/root", { adapter: disk.spawn() }).live, [temp.path]);
    assert.ok((await failure(() => temp.stageDeletion("/root"))) instanceof TypeError);
    temp.cleanupSync();
    assert.deepEqual([...disk.now().keys()], ["/root/"]);
    assert.equal(adapter.openHandles, 0);
  });

  test("comes by using, in both colours", () =>
    withTempDir(async (dir) => {
      TempDir.createSync(`${dir}/root`)[Symbol.dispose]();
      await (await TempDir.create(`${dir}/root`))[Symbol.asyncDispose]();
      assert.deepEqual(readdirSync(`${dir}/root`), []);
    }));

  test("of several is tried for each; the errors come together", () =>
    withTempDir(async (dir) => {
      const [one, two] = [TempDir.createSync(`${dir}/root`), TempDir.createSync(`${dir}/root`)];
      const fail = (): never => {
        throw new Error("mine");
      };
      const error = await failure(() => cleanupTempDirs(undefined, fail, one, null, fail, two));
      assert.ok(error instanceof RecoveryError);
      assert.equal(error.errors.length, 2);
      assert.match(error.message, /^Cannot clean up 2 of the temporary directories: mine; mine$/);
      assert.deepEqual(readdirSync(`${dir}/root`), []);
      assert.throws(() => cleanupTempDirsSync(fail, 5 as unknown as undefined), RecoveryError);
      await cleanupTempDirs();
      cleanupTempDirsSync(undefined);
    }));
});

describe("a recovery", () => {
  test("of a missing root is fine, of one that cannot be read is not", () =>
    withTempDir(async (dir) => {
      const empty = { removed: [], live: [], ignored: [], failed: [] };
      assert.deepEqual(await recoverStaleDirs(`${dir}/none`), empty);
      writeFileSync(`${dir}/file`, "");
      const error = await failure(() => recoverStaleDirsSync(`${dir}/file`));
      assert.ok(error instanceof RecoveryError);
      assert.equal(error.code, "ENOTDIR");
    }));

  test("removes what every half-done step leaves, and nothing else", () =>
    withTempDir(async (dir) => {
      const left: Readonly<Record<string, () => void>> = {
        "never published": () => writeFileSync(`${dir}/.new-${ID}`, ""),
        "a lock alone": () => writeFileSync(`${dir}/lock-${ID}`, ""),
        "a directory without a lock": () =>
          mkdirSync(`${dir}/temp-dir-${ID}/0-x/y`, { recursive: true }),
        "all of it": () => {
          writeFileSync(`${dir}/lock-${ID}`, "");
          mkdirSync(`${dir}/temp-dir-${ID}`);
          writeFileSync(`${dir}/temp-dir-${ID}/0-file`, "");
        },
      };
      for (const [what, make] of Object.entries(left)) {
        make();
        const dry = await recoverStaleDirs(dir, { dryRun: true });
        const before = readdirSync(dir);
        assert.equal(dry.removed.length, 1, what);
        assert.deepEqual(readdirSync(dir), before);
        const report = await recoverStaleDirs(dir);
        assert.deepEqual(report.removed, dry.removed, what);
        assert.deepEqual([report.live, report.ignored, report.failed], [[], [], []], what);
        assert.deepEqual(readdirSync(dir), [], what);
      }
    }));

  test("that never rests takes no lock file whose flock(1) is on its way", () =>
    withTempDir(async (dir) => {
      const inner = systemAdapter();
      // Between every open of a lock file and its lock somebody recovers.
      const recovering = (flock: "helper" | "native"): FsAdapter =>
        Object.create(inner, {
          capabilities: { value: { ...inner.capabilities, flock } },
          sync: {
            value: Object.assign(Object.create(inner.sync), {
              flock: (...args: Parameters<SyncFsOps["flock"]>) => {
                recoverStaleDirsSync(dir);
                return inner.sync.flock(...args);
              },
            }),
          },
        });
      const temp = TempDir.createSync(dir, { adapter: recovering("helper") });
      assert.ok(existsSync(temp.path));
      assert.deepEqual(readdirSync(dir).length, 2);
      temp.cleanupSync();
      assert.deepEqual(readdirSync(dir), []);
      if (inner.capabilities.flock === "helper") return;
      // What it protects from: where locks are quick an unlocked newborn is dead.
      const error = await failure(() => TempDir.createSync(dir, { adapter: recovering("native") }));
      assert.match(error.message, /16 new lock files were swept away$/);
    }));

  test("takes a lock file of a slow locker when it is old", () =>
    withTempDir(async (dir) => {
      const newborn = `${dir}/.lock.${ID}.cs1u`;
      writeFileSync(newborn, "");
      assert.deepEqual((await recoverStaleDirs(dir)).live, [newborn]);
      const minutesAgo = (minutes: number): number => Date.now() / 1000 - 60 * minutes;
      utimesSync(newborn, minutesAgo(14), minutesAgo(14));
      assert.deepEqual((await recoverStaleDirs(dir)).live, [newborn]);
      utimesSync(newborn, minutesAgo(16), minutesAgo(16));
      assert.deepEqual((await recoverStaleDirs(dir, { dryRun: true })).removed, [newborn]);
      assert.deepEqual((await recoverStaleDirs(dir)).removed, [newborn]);
      assert.deepEqual(readdirSync(dir), []);
    }));

  test("leaves the living, and names of another shape", () =>
    withTempDir(async (dir) => {
      const temp = await TempDir.create(dir);
      const others = [
        "lock-123456789",
        "temp-dir-123456789",
        `lock-${ID.toUpperCase()}`,
        `lock-${ID}x`,
        "file",
        `.new-${ID.slice(1)}`,
        `.lock.${ID}.cs1l`,
        `.other.${ID}.cs1u`,
      ];
      for (const name of others) writeFileSync(`${dir}/${name}`, "");
      const before = readdirSync(dir);
      const report = recoverStaleDirsSync(dir);
      assert.deepEqual(report.live, [temp.path]);
      assert.deepEqual([...report.ignored].sort(), others.map((name) => `${dir}/${name}`).sort());
      assert.deepEqual(report.removed, []);
      assert.deepEqual(readdirSync(dir), before);
      await temp.cleanup();
    }));

  test("never follows a link that stands for one of its names", () =>
    withTempDir(async (dir) => {
      mkdirSync(`${dir}/precious`);
      writeFileSync(`${dir}/precious/file`, "kept");
      mkdirSync(`${dir}/root`);
      symlinkSync("../precious", `${dir}/root/temp-dir-${ID}`);
      const other = "b".repeat(26);
      symlinkSync("../precious/file", `${dir}/root/lock-${other}`);
      const report = await recoverStaleDirs(`${dir}/root`);
      assert.equal(readFileSync(`${dir}/precious/file`, "utf8"), "kept");
      assert.deepEqual(report.failed.map(({ error }) => error.code), ["ELOOP"]);
      assert.deepEqual(readdirSync(`${dir}/root`), [`lock-${other}`]);
    }));

  test("reports progress, and ends by an abort between two", () =>
    withTempDir(async (dir) => {
      for (let index = 0; index < 5; index++) {
        writeFileSync(`${dir}/lock-${ID.slice(1)}${"bcdef"[index]}`, "");
      }
      const told: string[] = [];
      recoverStaleDirsSync(dir, {
        dryRun: true,
        onProgress: ({ done, total }) => told.push(`${done}/${total}`),
      });
      assert.deepEqual(told, ["1/5", "2/5", "3/5", "4/5", "5/5"]);
      const abort = new AbortController();
      const reason = new Error("enough");
      const recovering = recoverStaleDirs(dir, {
        signal: abort.signal,
        onProgress: ({ done }) => done === 2 && abort.abort(reason),
      });
      assert.equal(await failure(() => recovering), reason);
      assert.equal(readdirSync(dir).length, 3);
    }));

  test("collects what fails and goes on", () => {
    const disk = new MemoryFs();
    disk.sync.mkdir("/root", 0o700);
    for (const id of [ID, "b".repeat(26)]) {
      disk.sync.close(disk.sync.open(`/root/lock-${id}`, { access: "write", create: "exclusive" }));
      disk.sync.mkdir(`/root/temp-dir-${id}`, 0o700);
    }
    const adapter = new FaultFs(disk, [{
      kinds: ["rmdir"],
      errno: "EIO",
      path: ID,
      times: "always",
    }]);
    const report = recoverStaleDirsSync("/root", { adapter });
    assert.deepEqual(report.failed.map(({ path, error }) => [path, error.code]), [
      [`/root/temp-dir-${ID}`, "EIO"],
    ]);
    assert.deepEqual(report.removed, [`/root/temp-dir-${"b".repeat(26)}`]);
    assert.equal(adapter.openHandles, 0);
    // The lock of what stays stays, too.
    assert.deepEqual(recoverStaleDirsSync("/root", { adapter: disk }).removed, [
      `/root/temp-dir-${ID}`,
    ]);
  });
});

test("without flock nobody makes or recovers anything, and is told so before any effect", async () => {
  const disk = new MemoryFs();
  const adapter = Object.create(disk, {
    capabilities: { value: { ...disk.capabilities, flock: "none" } },
  });
  for (const name of ["sync", "async", "process", "classify"] as const) {
    const value = disk[name];
    Object.defineProperty(adapter, name, {
      value: typeof value === "function" ? value.bind(disk) : value,
    });
  }
  assert.equal((await failure(() => TempDir.create("/root", { adapter }))).code, "Unsupported");
  assert.equal(disk.now().size, 0);
  disk.sync.mkdir("/root", 0o700);
  disk.sync.mkdir(`/root/temp-dir-${ID}`, 0o700);
  assert.equal((await failure(() => recoverStaleDirs("/root", { adapter }))).code, "Unsupported");
  assert.equal(disk.now().size, 2);
});

test("every operation of a temporary directory's life can fail, and a recovery takes what is left", async () => {
  const live = async (adapter: FaultFs): Promise<void> => {
    const temp = await TempDir.create("/root", { adapter });
    try {
      await temp.stageDeletion("/data", { durability: "full" });
      const addition = temp.stageAddition();
      const file = adapter.sync.open(addition.path, { access: "write", create: "exclusive" });
      adapter.sync.close(file);
      await addition.commit("/new", { durability: "full" });
    } finally {
      await temp.cleanup();
    }
  };
  const setup = (): MemoryFs => {
    const disk = new MemoryFs();
    disk.sync.mkdir("/data", 0o755);
    disk.sync.mkdir("/data/sub", 0o755);
    return disk;
  };
  const plain = new FaultFs(setup());
  await live(plain);
  assert.ok(plain.log.length > 30);
  for (let nth = 1; nth <= plain.log.length; nth++) {
    for (const errno of ["EIO", "EINTR", "EACCES"]) {
      const disk = setup();
      const adapter = new FaultFs(disk, [{ nth, errno }]);
      const failed = await live(adapter).catch((error) => error);
      const where = `${errno} at ${nth}: ${plain.log[nth - 1]?.kind} ${plain.log[nth - 1]?.path}, ${
        String(failed)
      }`;
      // Whoever could not clean up still holds the lock: the process ends.
      for (const path of disk.now().keys()) {
        assert.match(
          path,
          /^\/(?:data\/|data\/sub\/|new|root\/(?:(?:lock|temp-dir|\.new)-.*)?)$/,
          where,
        );
      }
      if (adapter.openHandles === 0) {
        const report = recoverStaleDirsSync("/root", { adapter: disk.spawn() });
        assert.deepEqual([report.live, report.failed], [[], []], where);
        assert.deepEqual(
          [...disk.now().keys()].filter((path) => /^\/root\/./.test(path)),
          [],
          where,
        );
      } else {
        assert.equal(adapter.openHandles, 1, where);
      }
    }
  }
});

import { describe, test } from "node:test";
import assert from "node:assert/strict";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { execFileSync } from "node:child_process";
import process from "node:process";
import { recoverStaleDirsSync, TempDir } from "@crashsafe/fs";
import { FaultFs, MemoryFs } from "@crashsafe/fs/testing";
import { projectFile, runProgram } from "../support/programs.ts";
import { skip, withMount } from "../support/root.ts";
import { withTempDir } from "../support/temp_dir.ts";

/** `levels` directories one in the other, and a file in the last: by short paths, since a long one ends at 4096 bytes. */
function deep(dir: string, levels: number): void {
  const CHUNK = 200;
  const name = "d".repeat(3);
  mkdirSync(dir);
  // Built from the inside out: what is there so far becomes the end of a new chain.
  let inner: string | undefined;
  for (let built = 0, chain = 0; built < levels; built += CHUNK, chain++) {
    const top = `${dir}/chain-${chain}`;
    const bottom = top + `/${name}`.repeat(CHUNK - 1);
    mkdirSync(bottom, { recursive: true });
    if (inner === undefined) writeFileSync(`${bottom}/file`, "");
    else renameSync(inner, `${bottom}/${name}`);
    inner = top;
  }
}

/** The full size once for each runtime, from source; the installed package has the same code. */
const SHARE = projectFile("src/public").endsWith(".ts") ? 1 : 0.1;

describe("a tree is removed", () => {
  test("10,000 levels deep, in both colours", () =>
    withTempDir(async (dir) => {
      for (const [sync, levels] of [[true, 2_000], [false, 10_000 * SHARE]] as const) {
        const temp = TempDir.createSync(`${dir}/root`);
        deep(`${dir}/deep`, levels);
        temp.stageDeletionSync(`${dir}/deep`);
        if (sync) temp.cleanupSync();
        else await temp.cleanup();
        assert.deepEqual(readdirSync(`${dir}/root`), []);
      }
    }));

  test("100,000 files wide, and the event loop turns meanwhile", () =>
    withTempDir(async (dir) => {
      const temp = TempDir.createSync(`${dir}/root`);
      mkdirSync(`${temp.path}/wide`);
      execFileSync("sh", ["-c", `seq 1 ${100_000 * SHARE} | xargs touch`], {
        cwd: `${temp.path}/wide`,
      });
      let turns = 0;
      const timer = setInterval(() => turns++, 0);
      await temp.cleanup();
      clearInterval(timer);
      assert.deepEqual(readdirSync(`${dir}/root`), []);
      assert.ok(turns > 5, `the event loop turned ${turns} times`);
    }));

  test("whatever its modes, by a user who is not root", (t) =>
    withTempDir(async (dir) => {
      if (process.getuid?.() !== 0) return skip(t, "changing the user needs root");
      chmodSync(dir, 0o777);
      const { stdout, stderr } = await runProgram("tests/programs/call", {
        args: ["remove forbidden trees", dir],
      });
      assert.deepEqual(JSON.parse(stdout || "0"), ["root"], stderr);
    }));

  test("without following a symbolic link out of it", () =>
    withTempDir(async (dir) => {
      mkdirSync(`${dir}/precious`);
      writeFileSync(`${dir}/precious/file`, "kept");
      mkdirSync(`${dir}/tree/sub`, { recursive: true });
      for (const at of ["tree/link", "tree/sub/link"]) {
        symlinkSync(`${dir}/precious`, `${dir}/${at}`);
      }
      const temp = await TempDir.create(`${dir}/root`);
      await temp.stageDeletion(`${dir}/tree`);
      await temp.cleanup();
      assert.equal(readFileSync(`${dir}/precious/file`, "utf8"), "kept");
      assert.deepEqual(readdirSync(dir).sort(), ["precious", "root"]);
    }));

  test("without following a link that takes a directory's place in the middle of the work", () => {
    // At each operation in turn a hostile owner of the tree exchanges its directories for links.
    for (let moment = 1; moment < 40; moment++) {
      const disk = new MemoryFs();
      for (const path of ["/precious", "/precious/sub", "/tree", "/tree/a", "/tree/a/b"]) {
        disk.sync.mkdir(path, 0o777);
      }
      for (const path of ["/precious/file", "/tree/a/file", "/tree/a/b/file"]) {
        disk.sync.close(disk.sync.open(path, { access: "write", create: "exclusive" }));
      }
      const temp = TempDir.createSync("/root", { adapter: disk });
      temp.stageDeletionSync("/tree");
      let left = moment;
      disk.onOperation = () => {
        if (--left !== 0) return;
        disk.onOperation = undefined;
        // What the owner of the tree can reach: names inside it, not in the 0700 directory that it was moved to.
        for (const path of [...disk.now().keys()].filter((one) => /0-tree\/.+\/$/.test(one))) {
          const name = path.slice(0, -1);
          try {
            disk.sync.rename(name, "/stolen");
            disk.symlink("/precious", name);
          } catch {
            // Gone with the one above it.
          }
        }
      };
      temp.cleanupSync();
      disk.onOperation = undefined;
      assert.ok(
        disk.now().has("/precious/file") && disk.now().has("/precious/sub/"),
        `at ${moment}`,
      );
    }
  });

  test("while files are being added: in a bounded number of tries", () => {
    for (const additions of [5, Infinity]) {
      const disk = new MemoryFs();
      const temp = TempDir.createSync("/root", { adapter: disk });
      disk.sync.mkdir(`${temp.path}/busy`, 0o700);
      let added = 0;
      const add = (operation: { readonly operation: string }): void => {
        if (operation.operation !== "readdir" || added >= additions) return;
        disk.onOperation = undefined;
        const path = `${temp.path}/busy/${added++}`;
        try {
          disk.sync.close(disk.sync.open(path, { access: "write", create: "exclusive" }));
        } catch {
          // It is gone already.
        }
        disk.onOperation = add;
      };
      disk.onOperation = add;
      if (additions === 5) {
        temp.cleanupSync();
        assert.deepEqual([...disk.now().keys()], ["/root/"]);
      } else {
        assert.throws(() => temp.cleanupSync(), {
          code: "ENOTEMPTY",
          message:
            /busy": files are being added to it, "\/root\/temp-dir-.*" and what is left in it stay$/,
          leftover: temp.path,
        });
      }
    }
  });

  test("with all that can be, when something in it stays", () => {
    const disk = new MemoryFs();
    const setup = TempDir.createSync("/root", { adapter: disk });
    const adapter = new FaultFs(disk, [{
      kinds: ["unlink"],
      errno: "EPERM",
      path: /immutable$/,
      times: "always",
    }]);
    const temp = TempDir.createSync("/root", { adapter });
    disk.sync.mkdir(`${temp.path}/a`, 0o700);
    for (const name of ["immutable", "other"]) {
      disk.sync.close(
        disk.sync.open(`${temp.path}/a/${name}`, { access: "write", create: "exclusive" }),
      );
    }
    disk.sync.mkdir(`${temp.path}/b`, 0o700);
    assert.throws(() => temp.cleanupSync(), { code: "EPERM", path: `${temp.path}/a/immutable` });
    const left = [...disk.now().keys()].filter((path) => path.startsWith(`${temp.path}/`));
    assert.deepEqual(left.sort(), [`${temp.path}/`, `${temp.path}/a/`, `${temp.path}/a/immutable`]);
    setup.cleanupSync();
  });

  test("but not what is mounted in it: that stays, and the error says where", (t) =>
    withTempDir(async (dir) => {
      const temp = TempDir.createSync(`${dir}/root`);
      writeFileSync(`${temp.path}/file`, "");
      await withMount(t, ["-t", "tmpfs", "none"], `${temp.path}/mount`, () => {
        writeFileSync(`${temp.path}/mount/file`, "");
        assert.throws(() => temp.cleanupSync(), { code: "EBUSY", leftover: temp.path });
        assert.ok(!existsSync(`${temp.path}/file`));
        // It is still ours.
        assert.deepEqual(recoverStaleDirsSync(`${dir}/root`).live, [temp.path]);
      });
      temp.cleanupSync();
      assert.deepEqual(readdirSync(`${dir}/root`), []);
    }));
});

test("the removal of a tree in its own words", () => {
  const disk = new MemoryFs();
  const adapter = new FaultFs(disk);
  const temp = TempDir.createSync("/root", { adapter });
  disk.sync.mkdir(`${temp.path}/a`, 0o700);
  disk.sync.mkdir(`${temp.path}/a/b`, 0o700);
  const before = adapter.log.length;
  temp.cleanupSync();
  assert.equal(
    adapter.log.slice(before).map(({ kind }) => kind).join(" "),
    "lstat readdir lstat readdir rename rmdir lstat readdir rmdir rmdir unlink close",
  );
});

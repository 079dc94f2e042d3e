import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { chmodSync, chownSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import process from "node:process";
import { AtomicFile, atomicWriteSync } from "@crashsafe/fs";
import { FaultFs } from "@crashsafe/fs/testing";
import { systemAdapter } from "@crashsafe/fs";
import { runProgram } from "../support/programs.ts";
import { command, skip } from "../support/root.ts";
import { terminals } from "../support/terminals.ts";
import { testWhere } from "../support/runtime.ts";
import { withTempDir } from "../support/temp_dir.ts";

const isRoot = process.getuid?.() === 0;

describe("modes", () => {
  for (const terminal of terminals) {
    test(`${terminal.name} keeps the old one, sets an explicit one, and says which`, () =>
      withTempDir(async (dir) => {
        mkdirSync(`${dir}/inputs`);
        writeFileSync(`${dir}/a`, "old");
        chmodSync(`${dir}/a`, 0o640);
        const kept = await terminal.run(`${dir}/a`, "x", {}, `${dir}/inputs`);
        assert.equal(statSync(`${dir}/a`).mode & 0o7777, 0o640);
        assert.equal(kept.mode, 0o640);
        const set = await terminal.run(`${dir}/a`, "x", { mode: 0o751 }, `${dir}/inputs`);
        assert.equal(statSync(`${dir}/a`).mode & 0o7777, 0o751);
        assert.equal(set.mode, 0o751);
        const { uid, gid } = statSync(`${dir}/a`);
        assert.deepEqual(set.owner, { uid, gid });
      }));
  }

  for (const [umask, file, directory] of [["077", 0o600, 0o700], ["000", 0o666, 0o777]] as const) {
    test(`of a new file and a new directory under umask ${umask} are what the kernel makes of it`, () =>
      withTempDir(async (dir) => {
        const { stdout, stderr } = await runProgram("tests/programs/call", {
          args: ["umask", dir, umask],
        });
        assert.deepEqual(JSON.parse(stdout || "0"), [file, 0o666, file, directory], stderr);
      }));
  }

  test("an explicit 0 is a mode, and no missing one", () =>
    withTempDir((dir) => {
      assert.equal(atomicWriteSync(`${dir}/a`, "x", { mode: 0 }).mode, 0);
      assert.equal(statSync(`${dir}/a`).mode & 0o7777, 0);
    }));

  test("a default ACL is the kernel's business in a new directory as well", (t) =>
    withTempDir((dir) => {
      if (!command("setfacl", ["-d", "-m", "u::rwx,g::rx,o::-,m::rx", dir])) {
        return skip(t, "no setfacl, or no ACLs on this file system");
      }
      const { mode } = new AtomicFile(`${dir}/made/a`).writeSync("x");
      assert.equal(mode, 0o640);
      assert.equal(statSync(`${dir}/made/a`).mode & 0o7777, 0o640);
      assert.equal(statSync(`${dir}/made`).mode & 0o777, 0o750);
    }));
});

describe("owners", () => {
  test("a new file in a setgid directory gets its group, and the receipt says so", (t) =>
    withTempDir((dir) => {
      if (!isRoot) return skip(t, "changing groups needs root");
      mkdirSync(`${dir}/shared`);
      chownSync(`${dir}/shared`, 0, 1234);
      chmodSync(`${dir}/shared`, 0o2775);
      const { owner, lost } = new AtomicFile(`${dir}/shared/below/a`).writeSync("x");
      assert.deepEqual([owner, lost], [{ uid: 0, gid: 1234 }, []]);
      assert.equal(statSync(`${dir}/shared/below/a`).gid, 1234);
      // The group of an old file goes before that of the directory.
      writeFileSync(`${dir}/shared/old`, "x");
      chownSync(`${dir}/shared/old`, 7, 8);
      assert.deepEqual(atomicWriteSync(`${dir}/shared/old`, "x").owner, { uid: 7, gid: 8 });
    }));

  const hasGroups = typeof process.setgroups === "function";
  testWhere(
    hasGroups && isRoot,
    "another user keeps the group it is in, and loses what it may not give",
    () =>
      withTempDir(async (dir) => {
        chmodSync(dir, 0o777);
        const files: readonly (readonly [string, number, number, number])[] = [
          ["foreign", 1234, 4321, 0o6755],
          ["shared", 1234, 5678, 0o664],
          ["shared-setgid", 1234, 5678, 0o6775],
          ["explicit", 1234, 5678, 0o600],
        ];
        for (const [name, uid, gid, mode] of files) {
          writeFileSync(`${dir}/${name}`, "old");
          chownSync(`${dir}/${name}`, uid, gid);
          chmodSync(`${dir}/${name}`, mode);
        }
        const { stdout, stderr } = await runProgram("tests/programs/owner", {
          args: [dir, "65534", "65534", "5678"],
        });
        const own = { uid: 65534, gid: 65534 };
        const shared = { uid: 65534, gid: 5678 };
        assert.deepEqual(JSON.parse(stdout || "0"), [
          { lost: ["owner", "group", "setuid-setgid"], mode: 0o755, owner: own },
          { lost: ["owner"], mode: 0o664, owner: shared },
          { lost: ["owner", "setuid-setgid"], mode: 0o775, owner: shared },
          { lost: ["owner"], mode: 0o4711, owner: shared },
        ], stderr);
        assert.equal(statSync(`${dir}/foreign`).mode & 0o7777, 0o755);
        assert.equal(statSync(`${dir}/shared`).gid, 5678);
        assert.equal(statSync(`${dir}/shared-setgid`).mode & 0o7777, 0o775);
      }),
  );

  test("the rights of the old file are not given before its owner is", () =>
    withTempDir((dir) => {
      writeFileSync(`${dir}/a`, "old");
      chmodSync(`${dir}/a`, 0o640);
      if (isRoot) chownSync(`${dir}/a`, 7, 8);
      const adapter = new FaultFs(systemAdapter());
      atomicWriteSync(`${dir}/a`, "new", { adapter });
      const wanted = isRoot ? /write fchown fchmod fsync .*rename/ : /write fchmod fsync .*rename/;
      assert.match(adapter.trace(), wanted);
    }));

  test("an error other than a refusal is none to go on with", () =>
    withTempDir((dir) => {
      if (!isRoot) return;
      writeFileSync(`${dir}/a`, "old");
      chownSync(`${dir}/a`, 7, 8);
      const adapter = new FaultFs(systemAdapter(), [{ kinds: ["fchown"], errno: "EIO" }]);
      assert.throws(() => atomicWriteSync(`${dir}/a`, "new", { adapter }), { code: "EIO" });
      const refusing = new FaultFs(systemAdapter(), [
        { kinds: ["fchown"], errno: "EPERM", times: "always" },
      ]);
      const { lost, owner } = atomicWriteSync(`${dir}/a`, "new", { adapter: refusing });
      assert.deepEqual([lost, owner], [["owner", "group"], { uid: 0, gid: statSync(dir).gid }]);
    }));
});

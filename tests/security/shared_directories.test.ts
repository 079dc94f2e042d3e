import { describe, test } from "node:test";
import assert from "node:assert/strict";
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import process from "node:process";
import { AtomicFile, createTempFile, FileLock, TempDir } from "@crashsafe/fs";
import { runProgram } from "../support/programs.ts";
import { skip, type Skippable } from "../support/root.ts";
import { withTempDir } from "../support/temp_dir.ts";

const STRANGER = 65534;

/** A directory as /tmp: everybody may write to it, and remove what is theirs. */
function inSharedDir(t: Skippable, use: (dir: string) => Promise<void>): Promise<void> | void {
  if (process.getuid?.() !== 0) return skip(t, "changing the user needs root");
  return withTempDir(async (dir) => {
    chmodSync(dir, 0o755);
    mkdirSync(`${dir}/shared`);
    chmodSync(`${dir}/shared`, 0o1777);
    await use(`${dir}/shared`);
  });
}

/** What a stranger is answered who tries everything with the temporary files of `dir`. */
async function strangersAnswers(dir: string): Promise<unknown> {
  writeFileSync(`${dir}/mine`, "planted");
  chownSync(`${dir}/mine`, STRANGER, STRANGER);
  const { stdout, stderr } = await runProgram("tests/programs/stranger", { args: [dir] });
  assert.notEqual(stdout, "", stderr);
  return JSON.parse(stdout);
}

const REFUSED = {
  read: "EACCES",
  write: "EACCES",
  remove: "EPERM",
  rename: "EPERM",
  replace: "EPERM",
  "link over": "EEXIST",
};

describe("in a directory that everybody may write to", () => {
  test("a stranger neither reads nor touches what is being written over a private file", (t) =>
    inSharedDir(t, async (dir) => {
      writeFileSync(`${dir}/file`, "old", { mode: 0o600 });
      let answers: unknown;
      await new AtomicFile(`${dir}/file`).writeWith(async (sink) => {
        await sink.write("new and private");
        answers = await strangersAnswers(dir);
      });
      assert.deepEqual(answers, REFUSED);
      assert.equal(readFileSync(`${dir}/file`, "utf8"), "new and private");
      assert.equal(statSync(`${dir}/file`).mode & 0o777, 0o600);
    }));

  test("a stranger reads nothing before the end of a file that everybody may read then", (t) =>
    inSharedDir(t, async (dir) => {
      writeFileSync(`${dir}/file`, "old");
      chmodSync(`${dir}/file`, 0o666);
      let answers: unknown;
      await new AtomicFile(`${dir}/file`).writeWith(async (sink) => {
        await sink.write("new");
        answers = await strangersAnswers(dir);
      });
      assert.deepEqual(answers, REFUSED);
      assert.equal(statSync(`${dir}/file`).mode & 0o777, 0o666);
    }));

  test("a stranger neither reads nor touches a temporary file", (t) =>
    inSharedDir(t, async (dir) => {
      const file = await createTempFile(dir);
      await file.write("private");
      assert.deepEqual(await strangersAnswers(dir), REFUSED);
      await file.dispose();
    }));

  test("a temporary directory and its root are their owner's alone", (t) =>
    inSharedDir(t, async (dir) => {
      const temp = await TempDir.create(`${dir}/root`);
      for (const path of [`${dir}/root`, temp.path]) {
        assert.equal(statSync(path).mode & 0o777, 0o700, path);
      }
      await temp.cleanup();
    }));

  test("a lock file that a stranger has made is locked, and neither changed nor taken over", (t) =>
    inSharedDir(t, async (dir) => {
      writeFileSync(`${dir}/lock`, "of a stranger", { mode: 0o644 });
      chownSync(`${dir}/lock`, STRANGER, STRANGER);
      const lock = await FileLock.acquire(`${dir}/lock`);
      assert.equal(await FileLock.tryAcquire(`${dir}/lock`), null);
      await lock.release();
      const { uid, mode } = statSync(`${dir}/lock`);
      assert.deepEqual([uid, mode & 0o777], [STRANGER, 0o644]);
      assert.equal(readFileSync(`${dir}/lock`, "utf8"), "of a stranger");
    }));

  test("a stranger's link under the name of a lock file locks nothing", (t) =>
    inSharedDir(t, async (dir) => {
      writeFileSync(`${dir}/../victim`, "secret", { mode: 0o600 });
      symlinkSync("../victim", `${dir}/lock`);
      const options = { holder: "somebody" };
      await assert.rejects(FileLock.acquire(`${dir}/lock`, options), { code: "ELOOP" });
      assert.equal(readFileSync(`${dir}/../victim`, "utf8"), "secret");
      assert.deepEqual(readdirSync(dir), ["lock"]);
    }));
});

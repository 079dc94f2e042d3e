import { describe, test } from "node:test";
import assert from "node:assert/strict";
import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import {
  createTempFile,
  createTempFileSync,
  type FsAdapter,
  LockedUpdate,
  sweepOrphans,
  systemAdapter,
  TempDir,
  tempFileAt,
} from "@crashsafe/fs";
import { terminals } from "../support/terminals.ts";
import { withTempDir } from "../support/temp_dir.ts";

/** What an attacker who could foresee the next name would plant under it. */
const PLANTED = "a".repeat(26);

/** The runtime's adapter, but the first names that it draws are the one that was foreseen. */
function foreseen(times = 1): { readonly adapter: FsAdapter; readonly drawn: () => number } {
  const adapter = systemAdapter();
  let drawn = 0;
  const random = (bytes: Uint8Array): void => {
    if (drawn++ < times) bytes.fill(0);
    else bytes.set(crypto.getRandomValues(new Uint8Array(bytes.length)));
  };
  return {
    adapter: { ...adapter, process: { ...adapter.process, random } },
    drawn: () => drawn,
  };
}

const PLANTS: readonly (readonly [string, (victim: string, name: string) => void])[] = [
  ["a symbolic link", (victim, name) => symlinkSync(victim, name)],
  ["a dangling link", (victim, name) => symlinkSync(`${victim}-missing`, name)],
  ["a hard link", (victim, name) => linkSync(victim, name)],
];

describe("under the name of the next temporary file", () => {
  for (const [plant, make] of PLANTS) {
    for (const { name, run } of terminals) {
      test(`${plant} is no way to what it names: ${name}`, () =>
        withTempDir(async (dir) => {
          mkdirSync(`${dir}/inputs`);
          mkdirSync(`${dir}/open`);
          writeFileSync(`${dir}/victim`, "secret");
          const names = ["l", "u"].map((one) => `.file.${PLANTED}.cs1${one}`);
          for (const one of names) make(`${dir}/victim`, `${dir}/open/${one}`);
          const { adapter, drawn } = foreseen();
          await run(`${dir}/open/file`, "content", { adapter }, `${dir}/inputs`);
          assert.ok(drawn() > 1, "it was in the way");
          assert.equal(readFileSync(`${dir}/open/file`, "utf8"), "content");
          assert.equal(lstatSync(`${dir}/open/file`).isFile(), true);
          assert.equal(readFileSync(`${dir}/victim`, "utf8"), "secret");
          assert.equal(existsSync(`${dir}/victim-missing`), false);
          assert.deepEqual(readdirSync(`${dir}/open`).sort(), [...names, "file"].sort());
        }));
    }

    test(`${plant} is no way to what it names: createTempFile`, () =>
      withTempDir(async (dir) => {
        mkdirSync(`${dir}/open`);
        writeFileSync(`${dir}/victim`, "secret");
        for (const one of ["l", "u"]) {
          make(`${dir}/victim`, `${dir}/open/.tmp.${PLANTED}.cs1${one}`);
        }
        for (const create of [createTempFile, createTempFileSync]) {
          const { adapter, drawn } = foreseen();
          const file = await create(`${dir}/open`, { adapter });
          assert.ok(drawn() > 1, "it was in the way");
          await file.write("content");
          assert.equal(file.path.includes(PLANTED), false);
          await file.dispose();
        }
        assert.equal(readFileSync(`${dir}/victim`, "utf8"), "secret");
        assert.deepEqual(readdirSync(dir).sort(), ["open", "victim"]);
        assert.equal(readdirSync(`${dir}/open`).length, 2);
      }));

    test(`${plant} is no way to what it names: names that were chosen`, () =>
      withTempDir(async (dir) => {
        writeFileSync(`${dir}/victim`, "secret");
        for (const name of ["chosen", "resource.lock"]) make(`${dir}/victim`, `${dir}/${name}`);
        const before = readdirSync(dir);
        await assert.rejects(tempFileAt(`${dir}/chosen`), { code: "EEXIST" });
        await assert.rejects(LockedUpdate.acquire(`${dir}/resource`), { name: "LockHeldError" });
        assert.equal(readFileSync(`${dir}/victim`, "utf8"), "secret");
        assert.deepEqual(readdirSync(dir), before);
      }));
  }
});

describe("under the names of the next temporary directory", () => {
  const slow = systemAdapter().capabilities.flock === "helper";
  const born = slow ? `.lock.${PLANTED}.cs1u` : `.new-${PLANTED}`;
  for (const name of [born, `lock-${PLANTED}`, `temp-dir-${PLANTED}`]) {
    test(`a link leads nobody out of its root: ${name}`, () =>
      withTempDir(async (dir) => {
        mkdirSync(`${dir}/root`);
        mkdirSync(`${dir}/victim`);
        writeFileSync(`${dir}/victim/file`, "secret");
        writeFileSync(`${dir}/staged`, "");
        symlinkSync(`${dir}/victim`, `${dir}/root/${name}`);
        // Its own name and that of its lock file being born.
        const { adapter, drawn } = foreseen(2);
        if (name.startsWith("temp-dir-")) {
          await assert.rejects(TempDir.create(`${dir}/root`, { adapter }), { code: "EEXIST" });
        } else {
          const temp = await TempDir.create(`${dir}/root`, { adapter });
          assert.ok(drawn() > 2, "it was in the way");
          await temp.stageDeletion(`${dir}/staged`);
          assert.deepEqual(readdirSync(`${dir}/victim`), ["file"]);
          await temp.cleanup();
        }
        assert.equal(readFileSync(`${dir}/victim/file`, "utf8"), "secret");
        assert.deepEqual(readdirSync(`${dir}/victim`), ["file"]);
        assert.equal(readlinkSync(`${dir}/root/${name}`), `${dir}/victim`);
        assert.deepEqual(readdirSync(`${dir}/root`), [name]);
      }));
  }
});

test("a sweep that meets another file under the name of an orphan takes the name only", () =>
  withTempDir(async (dir) => {
    mkdirSync(`${dir}/open`);
    writeFileSync(`${dir}/victim`, "secret");
    linkSync(`${dir}/victim`, `${dir}/open/.hard.${PLANTED}.cs1l`);
    symlinkSync(`${dir}/victim`, `${dir}/open/.soft.${PLANTED}.cs1l`);
    symlinkSync(dir, `${dir}/open/directory`);
    await sweepOrphans(`${dir}/open`, { recursive: true, minAgeMs: 0 });
    assert.equal(readFileSync(`${dir}/victim`, "utf8"), "secret");
    assert.equal(existsSync(`${dir}/open/.hard.${PLANTED}.cs1l`), false);
    assert.equal(existsSync(`${dir}/open/.soft.${PLANTED}.cs1l`), true);
  }));

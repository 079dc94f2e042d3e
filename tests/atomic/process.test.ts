import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { readdirSync, writeFileSync } from "node:fs";
import { runProgram } from "../support/programs.ts";
import { nodeWithPermissions, runtime, testWhere } from "../support/runtime.ts";
import { withTempDir } from "../support/temp_dir.ts";

const NAMES: readonly string[] = [
  "write",
  "writeSync",
  "copyFrom",
  "copyFromSync",
  "concatFrom",
  "concatFromSync",
  "writeWith",
  "writeWithSync",
  "stream",
  "streamSync",
  "writable",
  "exclusive",
];

/** Runs every terminal in a process with these rights and answers what it said, line by line. */
async function everyTerminal(
  dir: string,
  durability: string,
  permissions?: readonly string[],
): Promise<string[]> {
  writeFileSync(`${dir}/source`, "abc");
  const { stdout, stderr, code } = await runProgram("tests/programs/every_terminal", {
    args: [dir, durability],
    ...(permissions === undefined ? {} : { permissions }),
  });
  assert.equal(stderr, "");
  assert.equal(code, 0);
  return stdout.trimEnd().split("\n");
}

describe("every terminal and readVerified work", () => {
  for (const durability of ["full", "file", "none"]) {
    test(`with durability "${durability}" and no right but to the directory`, () =>
      withTempDir(async (dir) => {
        const lines = await everyTerminal(
          dir,
          durability,
          runtime === "deno" ? [`--allow-read=${dir}`, `--allow-write=${dir}`] : undefined,
        );
        assert.deepEqual(lines, [
          ...NAMES.map((name) => `${name} ${durability} 3 3`),
          `made: ${NAMES.toSorted().join(" ")}`,
        ]);
      }));
  }

  testWhere(
    nodeWithPermissions,
    "under Node's permission model with durability none",
    () =>
      withTempDir(async (dir) => {
        const rights = ["--permission", "--allow-fs-read=*", `--allow-fs-write=${dir}`];
        const lines = await everyTerminal(dir, "none", rights);
        assert.deepEqual(lines, [
          ...NAMES.map((name) => `${name} none 3 3`),
          `made: ${NAMES.toSorted().join(" ")}`,
        ]);
      }),
  );
});

describe("every terminal is refused before anything is touched", () => {
  for (const durability of ["full", "file"]) {
    testWhere(
      nodeWithPermissions,
      `under Node's permission model with durability "${durability}"`,
      () =>
        withTempDir(async (dir) => {
          const rights = ["--permission", "--allow-fs-read=*", `--allow-fs-write=${dir}`];
          const lines = await everyTerminal(dir, durability, rights);
          assert.deepEqual(lines.slice(0, -1), NAMES.map((name) => `${name} Unsupported`));
          assert.deepEqual(readdirSync(dir), ["source"]);
        }),
    );
  }

  testWhere(
    runtime === "deno" || nodeWithPermissions,
    "without the right to write the directory",
    () =>
      withTempDir(async (dir) => {
        const rights = runtime === "deno"
          ? [`--allow-read=${dir}`]
          : ["--permission", "--allow-fs-read=*"];
        const lines = await everyTerminal(dir, "none", rights);
        assert.deepEqual(lines.slice(0, -1), NAMES.map((name) => `${name} ERR_ACCESS_DENIED`));
        assert.deepEqual(readdirSync(dir), ["source"]);
      }),
  );
});

test("importing all doors and building a file starts nothing, and the program ends at once", () =>
  withTempDir(async (dir) => {
    const { stdout, stderr, code, signal } = await runProgram("tests/programs/import_all", {
      cwd: dir,
    });
    assert.deepEqual([code, signal, stderr], [0, null, ""]);
    const [changes = "", files] = stdout.trim().split("\n");
    const [before, after] = JSON.parse(changes);
    assert.deepEqual(after, before);
    assert.equal(files, "0");
    assert.deepEqual(readdirSync(dir), []);
  }));

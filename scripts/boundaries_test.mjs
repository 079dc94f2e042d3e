// The boundary check is itself checked: each rule broken once, and what is allowed stays allowed.

import assert from "node:assert/strict";
import { test } from "node:test";
import { violations } from "./boundaries.mjs";

const BROKEN = [
  ["a door imports the testing kit", "mod.ts", ["testing/fault_fs.ts"]],
  ["a door imports a node: module", "node.ts", ["node:fs"]],
  ["an adapter imports an algorithm", "adapters/node.ts", ["src/atomic/publish.ts"]],
  ["an adapter imports a door", "adapters/node.ts", ["mod.ts"]],
  ["an adapter imports a package", "adapters/node.ts", ["hash-wasm"]],
  ["src imports an adapter", "src/base/paths.ts", ["adapters/node.ts"]],
  ["src imports another node: module", "src/base/paths.ts", ["node:fs"]],
  ["src imports another package", "src/base/paths.ts", ["koffi"]],
  ["a file imports a higher floor", "src/hash/digest.ts", ["src/atomic/publish.ts"]],
  ["a file stands on no floor", "src/cellar/wine.ts", []],
  ["src names Deno", "src/base/paths.ts", [], "export const pid = Deno.pid;"],
  ["src reads Deno by key", "src/base/paths.ts", [], 'export const it = globalThis["Deno"];'],
  ["src names Bun behind a quote", "src/base/paths.ts", [], 'const quote = /"/; Bun.file("a");'],
  ["src names process", "src/base/paths.ts", [], "export const pid = process.pid;"],
  ["src names process in a template", "src/base/paths.ts", [], "const text = `${process.pid}`;"],
  ["src reads globalThis.process", "src/base/paths.ts", [], "(globalThis as Host).process;"],
  ["src requires", "src/base/paths.ts", [], 'require("fs");'],
  ["src imports what is computed", "src/base/paths.ts", [], "await import(name);"],
  ["the testing kit imports an adapter", "testing/fault_fs.ts", ["adapters/node.ts"]],
  ["the testing door imports an adapter", "testing.ts", ["adapters/node.ts"]],
  ["the command imports src", "cli/main.ts", ["src/base/paths.ts"]],
  ["the command imports a package", "cli/main.ts", ["hash-wasm"]],
];

for (const [name, file, imports, text = ""] of BROKEN) {
  test(`it is found when ${name}`, () => {
    const found = violations([module(file, imports, text)]);
    assert.equal(found.length, 1, found.join("\n"));
    assert.ok(found[0].startsWith(file));
  });
}

test("it is found when modules import each other in a circle", () => {
  const circle = [
    module("src/base/a.ts", ["src/base/b.ts"]),
    module("src/base/b.ts", ["src/base/c.ts"]),
    module("src/base/c.ts", ["src/base/a.ts"]),
  ];
  assert.deepEqual(violations(circle), [
    "a cycle: src/base/a.ts -> src/base/b.ts -> src/base/c.ts -> src/base/a.ts",
  ]);
});

test("what the rules allow is not found", () => {
  const modules = [
    module("mod.ts", ["adapters/node.ts", "src/public.ts"]),
    module("adapters/node.ts", ["node:fs", "adapters/libc.ts", "src/base/errors.ts"]),
    module("src/public.ts", ["src/temp/recover.ts"]),
    module("src/atomic/publish.ts", ["src/base/steps.ts", "src/atomic/data.ts"]),
    module(
      "src/base/paths.ts",
      ["node:path"],
      "// Deno.cwd()\nadapter.process.cwd(); // process.cwd",
    ),
    module("src/hash/digest.ts", ["hash-wasm"], 'await import("hash-wasm");'),
    module("cli/main.ts", ["mod.ts", "node:util", "cli/help.ts"]),
  ];
  assert.deepEqual(violations(modules), []);
});

function module(file, imports, text = "") {
  return { file, imports, runtimeImports: imports, text };
}

// One version everywhere.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "./lib.mjs";

export function checkVersions() {
  const read = (name) => readFileSync(join(root, name), "utf8");
  const versions = {
    "deno.json": JSON.parse(read("deno.json")).version,
    "package.json": JSON.parse(read("package.json")).version,
    "npm/package.json": JSON.parse(read("npm/package.json")).version,
    "CHANGELOG.md": /^## (\S+)/m.exec(read("CHANGELOG.md"))?.[1],
    "cli/version.ts": /"(\d[^"]*)"/.exec(read("cli/version.ts"))?.[1],
  };
  if (new Set(Object.values(versions)).size !== 1) {
    throw new Error(JSON.stringify(versions, undefined, 2));
  }
}

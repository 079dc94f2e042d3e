// Builds npm/dist from the same sources with the TypeScript compiler, and completes npm/ for `npm pack`.

import { copyFileSync, existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { must, root, tool } from "./lib.mjs";

export async function buildNpm() {
  rmSync(join(root, "npm", "dist"), { recursive: true, force: true });
  await must(tool("tsc"), ["-p", "tsconfig.npm.json"]);
  for (const name of ["README.md", "LICENSE", "CHANGELOG.md"]) {
    copyFileSync(join(root, name), join(root, "npm", name));
  }
  if (!existsSync(join(root, "npm", "dist", "mod.js"))) throw new Error("tsc built no mod.js");
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) await buildNpm();

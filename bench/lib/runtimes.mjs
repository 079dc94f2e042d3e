// The runtimes, and how each of them loads this package and a program of bench/programs.

import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";
import { must, root, tool } from "../../scripts/lib.mjs";

const url = (path) => pathToFileURL(join(root, path)).href;

/** Answers [{ name, version, command: [binary, ...flags], module, xxh3 }]. The package must have been built. */
export async function openRuntimes() {
  const deno = tool("deno");
  const bun = tool("bun");
  return [
    {
      name: "Deno",
      version: (await must(deno, ["--version"])).match(/deno (\S+)/)[1],
      // The peers are CommonJS with dependencies of their own: Deno finds those through node_modules.
      command: [deno, "run", "-A", "--no-check", "--no-lock", "--node-modules-dir=manual"],
      module: url("deno.ts"),
      xxh3: url("src/hash/xxh3.ts"),
    },
    {
      name: "Bun",
      version: (await must(bun, ["--version"])).trim(),
      command: [bun],
      module: url("bun.ts"),
      xxh3: url("src/hash/xxh3.ts"),
    },
    {
      name: "Node",
      version: process.versions.node,
      command: [process.execPath, "--expose-gc"],
      module: url("npm/dist/node.js"),
      xxh3: await compiled("src/hash/xxh3.ts"),
    },
  ];
}

/** The package has it inside a chunk; Node needs it without types. */
async function compiled(source) {
  const outfile = join(root, "build", "bench", "xxh3.mjs");
  await build({ absWorkingDir: root, entryPoints: [source], outfile, format: "esm" });
  return pathToFileURL(outfile).href;
}

export function program(name) {
  return join(root, "bench", "programs", name);
}

// An empty project with the packed tarball installed, and the compiled tests beside it. Tests reach the package by its
// name; the few that look at internals get those compiled from the same sources, since the package has them in one piece.

import { cpSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildNpm } from "./build_npm.mjs";
import { must, root, tool } from "./lib.mjs";

/** Builds and packs into `dir`; answers the tarball. */
export async function pack(dir) {
  await buildNpm();
  await must("npm", ["pack", "--silent", "--pack-destination", dir], { cwd: join(root, "npm") });
  return join(dir, readdirSync(dir).find((name) => name.endsWith(".tgz")));
}

/** Makes the project in `dir`, with `others` installed beside the package, and answers it. */
export async function installProject(dir, tarball, ...others) {
  const project = join(dir, "project");
  mkdirSync(project);
  writeFileSync(
    join(project, "package.json"),
    JSON.stringify({ name: "empty-project", private: true, type: "module" }),
  );
  await must("npm", ["install", "--no-audit", "--no-fund", "--silent", tarball, ...others], {
    cwd: project,
  });
  const build = join(root, "build", "tests");
  rmSync(build, { recursive: true, force: true });
  await must(tool("tsc"), ["-p", "tsconfig.tests.json"]);
  for (const name of ["tests", "examples", "src", "adapters", "testing"]) {
    cpSync(join(build, name), join(project, name), { recursive: true });
  }
  // One runtime explores crashes: what they find does not depend on it.
  rmSync(join(project, "tests", "crash"), { recursive: true });
  return project;
}

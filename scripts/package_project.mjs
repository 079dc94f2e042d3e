// An empty project with the packed tarball installed, and the compiled tests beside it. `src`, `adapters`, … there
// are links into the package, so that a test that imports internals reaches the very modules that the package runs.

import {
  cpSync,
  mkdirSync,
  readdirSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
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
  const dist = realpathSync(join(project, "node_modules", "@crashsafe", "fs", "dist"));
  for (const name of ["src", "adapters", "testing", "cli"]) {
    symlinkSync(join(dist, name), join(project, name));
  }
  const build = join(root, "build", "tests");
  rmSync(build, { recursive: true, force: true });
  await must(tool("tsc"), ["-p", "tsconfig.tests.json"]);
  for (const name of ["tests", "examples"]) {
    cpSync(join(build, name), join(project, name), { recursive: true });
  }
  return project;
}

// An empty project with the packed tarball installed, and the compiled tests beside it. A test that imports internals
// has to reach the very modules that the package runs, or `instanceof` and the hidden state would be tested on a second
// copy. Links are not enough for that, because Deno does not resolve them: the imports themselves are rewritten.

import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";
import { buildNpm } from "./build_npm.mjs";
import { must, root, tool } from "./lib.mjs";

const PACKAGE_DIST = join("node_modules", "@crashsafe", "fs", "dist");
const PACKAGE_AREAS = ["src", "adapters", "testing", "cli"];

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
  const dist = realpathSync(join(project, PACKAGE_DIST));
  // For tests that hand the path of a source to a child.
  for (const name of PACKAGE_AREAS) {
    symlinkSync(join(dist, name), join(project, name));
  }
  const build = join(root, "build", "tests");
  rmSync(build, { recursive: true, force: true });
  await must(tool("tsc"), ["-p", "tsconfig.tests.json"]);
  for (const name of ["tests", "examples"]) {
    cpSync(join(build, name), join(project, name), { recursive: true });
    importFromPackage(project, name);
  }
  return project;
}

/** Points the imports of compiled files at the installed package, where they leave the tests for its sources. */
function importFromPackage(project, folder) {
  for (const name of readdirSync(join(project, folder), { recursive: true })) {
    if (!name.endsWith(".js")) continue;
    const file = join(project, folder, name);
    const text = readFileSync(file, "utf8").replace(
      /(\b(?:from|import)\s*\(?\s*")(\.\.?\/[^"]+)(?=")/g,
      (whole, before, specifier) => {
        const target = relative(project, resolve(dirname(file), specifier));
        if (!PACKAGE_AREAS.includes(target.split(sep)[0])) return whole;
        const inPackage = relative(dirname(file), join(project, PACKAGE_DIST, target));
        return before + inPackage.replaceAll("\\", "/");
      },
    );
    writeFileSync(file, text);
  }
}

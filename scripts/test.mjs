// `npm test`: everything that has to hold, from the format of the sources to the suite against the packed package.
// `npm run check` (--checks) stops before the first test of the library, after a few seconds.

import { join } from "node:path";
import { checkBoundaries } from "./boundaries.mjs";
import { bundleAndRun, BUNDLERS } from "./bundlers.mjs";
import { checkDependencies } from "./dependencies.mjs";
import { must, root, Tally, tool, withTempDir } from "./lib.mjs";
import { checkLinks } from "./links.mjs";
import { installProject, pack } from "./package_project.mjs";
import { bunSuite, denoSuite, nodeSuite } from "./suite.mjs";
import { checkSymbols } from "./symbols.mjs";
import { checkTypes } from "./types_check.mjs";
import { checkVersions } from "./versions.mjs";

const DOORS = ["mod.ts", "deno.ts", "bun.ts", "node.ts", "testing.ts", "cli/main.ts"];
const tally = new Tally();
const deno = tool("deno");

await tally.check("format", () => must(deno, ["fmt", "--check"]));
await tally.check("lint", () => must(deno, ["lint"]));
await tally.check(
  "types, as Deno sees them",
  () => must(deno, ["check", ...DOORS, "tests", "examples"]),
);
await tally.check("types, all runtimes", () => must(tool("tsc"), ["-p", "tsconfig.json"]));
await tally.check(
  "types, as Node sees them",
  () => must(tool("tsc"), ["-p", "tsconfig.node.json"]),
);
await tally.check("types, as Bun sees them", () => must(tool("tsc"), ["-p", "tsconfig.bun.json"]));
await tally.check("boundaries", checkBoundaries);
await tally.suite(
  "the boundary check itself",
  () => nodeSuite(process.execPath, root, [join(root, "scripts", "boundaries_test.mjs")]),
);
await tally.check("one version", checkVersions);
await tally.check("list of dependencies", checkDependencies);
await tally.check("links of the documents", checkLinks);
await tally.check("documentation lint", () => must(deno, ["doc", "--lint", ...DOORS]));
await tally.check("an example for every symbol", () => checkSymbols(["mod.ts", "testing.ts"]));
await tally.check(
  "deno publish --dry-run",
  () => must(deno, ["publish", "--dry-run", "--allow-dirty"]),
);
if (process.argv.includes("--checks")) {
  tally.close();
  process.exit();
}
await tally.suite("documentation examples", () => documentation());
await tally.suite(
  "suite from source on Deno",
  // Crashes are explored on one runtime, Bun: what they find does not depend on it.
  () => denoSuite(deno, undefined, ["--no-check", "--ignore=tests/crash", "tests"]),
);
await tally.suite("suite from source on Bun", () => bunSuite(tool("bun")));
await withTempDir(async (dir) => {
  let tarball;
  let project;
  await tally.check("npm build and pack", async () => {
    tarball = await pack(dir);
  });
  if (tarball === undefined) return;
  await tally.check("publint", () => must(tool("publint"), ["--strict", tarball]));
  await tally.check("attw", () => must(tool("attw"), ["--profile", "esm-only", tarball]));
  await tally.check("tarball in an empty project", async () => {
    // With the optional koffi; the matrix runs without it.
    project = await installProject(dir, tarball, "koffi@^3");
  });
  if (project === undefined) return;
  await tally.check("TypeScript 5.4 to 7", () => checkTypes(dir, project));
  await tally.check("require() on Node", () => requireOnNode(project));
  for (const name of Object.keys(BUNDLERS)) {
    await tally.check(`bundled by ${name}`, () => bundleAndRun(name, project, dir));
  }
  await tally.suite(
    `suite packed on Node ${process.versions.node}`,
    () => nodeSuite(process.execPath, project),
  );
  await tally.suite("suite packed on Bun", () => bunSuite(tool("bun"), project));
  await tally.suite(
    "suite packed on Deno",
    () => denoSuite(deno, project, ["--no-check", "--node-modules-dir=manual", "tests"]),
  );
});
tally.close();

/** The code blocks of the documentation and of the doc comments, type-checked and run. */
function documentation() {
  // What they leave, they leave elsewhere.
  return withTempDir((dir) =>
    denoSuite(deno, dir, [
      "--doc",
      "--config",
      join(root, "deno.json"),
      ...["README.md", "docs", ...DOORS, "src", "testing"].map((name) => join(root, name)),
    ])
  );
}

async function requireOnNode(project) {
  const script =
    'const { atomicWriteSync } = require("@crashsafe/fs"); if (typeof atomicWriteSync !== "function") process.exit(1)';
  await must(process.execPath, ["--input-type=commonjs", "-e", script], { cwd: project });
}

// `npm run test:matrix`: the suite against the packed package on every supported Node; with --here, on the one that runs this.

import { must, Tally, withTempDir } from "./lib.mjs";
import { installProject, pack } from "./package_project.mjs";
import { nodeSuite } from "./suite.mjs";

const VERSIONS = ["20", "22", "24", "26"];
const tally = new Tally();
await withTempDir(async (dir) => {
  const project = await installProject(dir, await pack(dir));
  const here = process.argv.includes("--here");
  for (const version of here ? [process.versions.node] : VERSIONS) {
    await tally.suite(`suite packed on Node ${version}`, async () => {
      if (here) return await nodeSuite(process.execPath, project);
      const which = ["-y", "-p", `node@${version}`, "node", "-p", "process.execPath"];
      const node = (await must("npx", which)).trim();
      return await nodeSuite(node, project);
    });
  }
});
tally.close();

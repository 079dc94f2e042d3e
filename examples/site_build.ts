// A build with many outputs: `site_build DIR PAGES`. All pages are on the disk when it says so; a build that is killed
// leaves each page old or new, and the next one sweeps what it left beside them.

import { atomicWriteAll, sweepOrphans } from "@crashsafe/fs";
import { mkdirSync } from "node:fs";
import process from "node:process";

const [dir, pages = "1000"] = process.argv.slice(2);
if (dir === undefined) throw new Error("usage: site_build DIR [PAGES]");

mkdirSync(dir, { recursive: true });
const { removed } = await sweepOrphans(dir);

function* rendered(): Generator<{ path: string; data: string }> {
  for (let page = 0; page < Number(pages); page++) {
    yield { path: `${dir}/${page}.html`, data: `<h1>Page ${page}</h1>\n` };
  }
}
const { receipts, batches } = await atomicWriteAll(rendered());
console.log(`${receipts.length} pages in ${batches} batches, ${removed.length} orphans removed`);

// `node bench/table.mjs FILE`: from the JSON of `npm run bench -- --json FILE` it writes docs/bench.md and docs/bench.svg, and prints
// the README's table.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { must, root, tool } from "../scripts/lib.mjs";
import { dotPlot } from "./render/dot_plot.mjs";
import { linePlots } from "./render/line_plot.mjs";
import { page, shortTable } from "./render/markdown.mjs";
import { svgDocument } from "./render/svg.mjs";

const WIDTH = 860;

const [file] = process.argv.slice(2);
if (file === undefined) {
  console.error("usage: node bench/table.mjs FILE");
  process.exit(2);
}
const report = JSON.parse(readFileSync(file, "utf8"));
const blocks = [
  ...Object.entries(report.replaces?.disk ?? {}).flatMap(([job, rows]) =>
    dotPlot(`Replacing 4 KiB on the disk, ${job}`, rows, WIDTH) ?? []
  ),
  ...Object.entries(report.growth ?? {}).flatMap(([disk, axes]) =>
    linePlots(`Growth on ${disk}`, axes, WIDTH)
  ),
];
const outputs = [join(root, "docs", "bench.svg"), join(root, "docs", "bench.md")];
writeFileSync(outputs[0], svgDocument("What a crash-safe replace costs", WIDTH, blocks));
writeFileSync(outputs[1], page(report));
await must(tool("deno"), ["fmt", "--quiet", ...outputs]);
if (report.replaces) console.log(shortTable(report).join("\n"));

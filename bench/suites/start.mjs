// How long the import of the package takes.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { must } from "../../scripts/lib.mjs";
import { spread } from "../lib/stats.mjs";
import { figure, printTable, quartiles } from "../lib/text_table.mjs";

export async function benchStart({ repeats, disks: [disk], runtimes }) {
  const report = {};
  for (const { name, command: [binary, ...flags], module } of runtimes) {
    const importing = join(disk.fresh(), "importing.mjs");
    writeFileSync(
      importing,
      `const begin = performance.now();
await import(${JSON.stringify(module)});
console.log(performance.now() - begin);
`,
    );
    const samples = [];
    for (let repeat = 0; repeat < repeats; repeat++) {
      samples.push(Number(await must(binary, [...flags, importing])));
    }
    report[name] = spread(samples);
  }
  printTable(
    "Import of the package, ms",
    ["", "median", "quartiles"],
    Object.entries(report).map(([name, row]) => [name, figure(row.median), quartiles(row)]),
  );
  return report;
}

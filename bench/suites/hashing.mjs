// XXH3-128 in TypeScript, which a synchronous call can use at once, beside hash-wasm's.

import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { must, root } from "../../scripts/lib.mjs";
import { program } from "../lib/runtimes.mjs";
import { median } from "../lib/stats.mjs";
import { figure, printTable } from "../lib/text_table.mjs";

export async function benchHashing({ repeats, runtimes }) {
  const wasm = pathToFileURL(join(root, "node_modules/hash-wasm/dist/index.esm.js")).href;
  const report = {};
  for (const { name, command: [binary, ...flags], xxh3 } of runtimes) {
    const runs = [];
    for (let repeat = 0; repeat < Math.ceil(repeats / 3); repeat++) {
      runs.push(
        JSON.parse(await must(binary, [...flags, program("hashing.mjs"), xxh3, wasm])),
      );
    }
    for (const size of Object.keys(runs[0])) {
      const [typescript, hashWasm] = [0, 1].map((which) =>
        median(runs.map((one) => one[size][which]))
      );
      report[`${name}, ${size} bytes`] = { typescript, hashWasm };
    }
  }
  printTable(
    "XXH3-128, GB/s",
    ["", "TypeScript", "hash-wasm"],
    Object.entries(report).map((
      [name, { typescript, hashWasm }],
    ) => [name, figure(typescript), figure(hashWasm)]),
  );
  return report;
}

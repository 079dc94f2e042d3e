// What dead processes left, by its number: the recovery of stale directories and the sweep of orphans, which must grow in line with it.

import fs from "node:fs";
import { join } from "node:path";
import { figure, printTable } from "../lib/text_table.mjs";
import { spread } from "../lib/stats.mjs";

/** 26 characters that only this index has. */
function idOf(index) {
  return index.toString(2).replaceAll("0", "a").replaceAll("1", "b").padStart(26, "c");
}

const JOBS = {
  "recoverStaleDirs, directories with one file each": {
    sizes: [1_000, 10_000],
    quick: [100, 1_000],
    prepare(dir, count) {
      for (let index = 0; index < count; index++) {
        fs.writeFileSync(join(dir, `lock-${idOf(index)}`), "");
        fs.mkdirSync(join(dir, `temp-dir-${idOf(index)}`));
        fs.writeFileSync(join(dir, `temp-dir-${idOf(index)}`, "0-file"), "");
      }
    },
  },
  "sweepOrphans, files": {
    sizes: [10_000, 100_000],
    quick: [1_000, 10_000],
    prepare(dir, count) {
      for (let index = 0; index < count; index++) {
        fs.writeFileSync(join(dir, `.file.${idOf(index)}.cs1l`), "");
      }
    },
  },
};

export async function benchRecovery({ quick, repeats, disks, workers }) {
  const rounds = quick ? 1 : Math.min(repeats, 3);
  const report = {};
  for (const disk of disks) {
    const samples = {};
    for (let repeat = 0; repeat < rounds; repeat++) {
      for (const [name, { sizes, quick: small, prepare }] of Object.entries(JOBS)) {
        for (const count of quick ? small : sizes) {
          for (const { runtime, worker } of workers) {
            const directory = disk.fresh();
            prepare(directory, count);
            const { milliseconds } = await worker.ask({ do: "recover", name, directory, count });
            disk.done(directory);
            const title = `${runtime.name}: ${name}, ${count}`;
            (samples[title] ??= []).push(milliseconds * 1000 / count);
          }
        }
      }
    }
    report[disk.name] = Object.fromEntries(
      Object.entries(samples).map(([title, values]) => [title, spread(values)]),
    );
    printTable(
      `Recovery on ${disk.name}, µs each`,
      ["", "median"],
      Object.entries(report[disk.name]).map(([title, row]) => [title, figure(row.median)]),
    );
  }
  return report;
}

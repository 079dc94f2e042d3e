// Acquiring and releasing a lock that is free. What this version of the package does not export has no row.

import { figure, printTable, quartiles } from "../lib/text_table.mjs";
import { ratio, spread } from "../lib/stats.mjs";

/** Ratios are to proper-lockfile's call of the same form. */
const BASES = { sync: "proper-lockfile, sync", async: "proper-lockfile" };

export async function benchLocks({ quick, repeats, disks, workers }) {
  const rounds = quick ? 100 : 1000;
  const report = {};
  for (const disk of disks) {
    const samples = {};
    for (let repeat = 0; repeat < repeats; repeat++) {
      for (const { runtime, worker } of workers) {
        for (const { name, form } of (await worker.ask({ do: "list" })).lockers) {
          const directory = disk.fresh();
          const { microseconds } = await worker.ask({ do: "lock", name, directory, rounds });
          disk.done(directory);
          const title = `${runtime.name}: ${name}`;
          (samples[title] ??= { base: `${runtime.name}: ${BASES[form]}`, values: [] })
            .values.push(microseconds);
        }
      }
    }
    report[disk.name] = Object.fromEntries(
      Object.entries(samples).map(([title, { base, values }]) => [
        title,
        { ...spread(values), ratio: ratio(values, samples[base].values) },
      ]),
    );
    printTable(
      `Lock, acquire and release on ${disk.name}, µs`,
      ["", "median", "quartiles", "to proper-lockfile"],
      Object.entries(report[disk.name]).map(([title, row]) => [
        title,
        figure(row.median),
        quartiles(row),
        figure(row.ratio.median),
      ]),
    );
  }
  return report;
}

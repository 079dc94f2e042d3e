// Making a temporary file and dropping it, beside the same system calls without a registry, alone and with a thousand live handles.

import { figure, printTable, quartiles } from "../lib/text_table.mjs";
import { ratio, spread } from "../lib/stats.mjs";

/** What each row is compared with. */
const BASES = {
  "createTempFileSync, disposeSync": "open, flock, fstat, lstat, unlink, close",
  "tempFileAtSync, disposeSync": "open, fstat, lstat, unlink, close",
};

export async function benchTemps({ quick, repeats, disks, workers }) {
  const rounds = quick ? 200 : 2000;
  const report = {};
  for (const disk of disks) {
    const samples = {};
    for (let repeat = 0; repeat < repeats; repeat++) {
      for (const alive of [0, 1000]) {
        for (const { runtime, worker } of workers) {
          const directory = disk.fresh();
          const { times } = await worker.ask({ do: "temp", directory, rounds, alive });
          disk.done(directory);
          for (const [name, value] of Object.entries(times)) {
            const title = (of) => `${runtime.name}, ${alive} alive: ${of}`;
            (samples[title(name)] ??= { base: title(BASES[name] ?? name), values: [] })
              .values.push(value);
          }
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
      `Temporary file, create and drop on ${disk.name}, µs`,
      ["", "median", "quartiles", "to the same calls"],
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

// The same synchronous replace on tmpfs right after another one, and after the processor has been idle for as long as an fsync takes: a
// disk's figures contain that twice.

import { median } from "../lib/stats.mjs";
import { figure, printTable } from "../lib/text_table.mjs";

const PAUSES_MS = [0, 0.2, 1];
const NAMES = ["raw node:fs, sync", "atomicWriteSync"];

export async function benchIdle({ quick, repeats, disks, workers }) {
  const disk = disks.at(-1);
  const report = {};
  for (const { worker } of workers) {
    for (const name of NAMES) {
      const directory = disk.fresh();
      await worker.ask({ do: "warm", name, directory, ms: quick ? 100 : 400 });
      disk.done(directory);
    }
  }
  for (let repeat = 0; repeat < repeats; repeat++) {
    for (const pauseMs of PAUSES_MS) {
      for (const { runtime, worker } of workers) {
        const directory = disk.fresh();
        const job = { do: "idle", directory, pauseMs, rounds: quick ? 50 : 200 };
        const { times } = await worker.ask({ ...job, names: NAMES });
        disk.done(directory);
        for (const name of NAMES) {
          const row = report[`${runtime.name}: ${name}`] ??= {};
          (row[pauseMs] ??= []).push(times[name]);
        }
      }
    }
  }
  for (const row of Object.values(report)) {
    for (const pauseMs of PAUSES_MS) row[pauseMs] = median(row[pauseMs]);
  }
  printTable(
    `Replace of 4 KiB on ${disk.name} after a pause, µs`,
    ["", ...PAUSES_MS.map((ms) => `${ms} ms`)],
    Object.entries(report).map((
      [title, row],
    ) => [title, ...PAUSES_MS.map((ms) => figure(row[ms]))]),
  );
  return report;
}

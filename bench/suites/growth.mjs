// Growth curves: what one replace costs as there are more files, larger files, more calls at once, more processes.
// Each point is a process (or several) of its own, so that its peak of resident memory is its own.

import { readFileSync } from "node:fs";
import { median } from "../lib/stats.mjs";
import { figure, printTable } from "../lib/text_table.mjs";
import { Worker } from "../lib/worker.mjs";

/** A cost for each item may fall; when it rises by more than this from one point to the next, something does not scale. */
const WORSE = 1.5;
/** No point with fewer replaces: one alone measures the noise. */
const LEAST_REPLACES = 400;
const WARM_MS = 300;
const PROCESS_MIB = 150;
const KIB = 1024;
const MIB = KIB ** 2;

const AXES = [
  {
    name: "files",
    unit: "µs a file",
    contenders: ["atomicWrite", "raw node:fs, promises"],
    points: ({ quick }) => [1, 10, 100, 1000, ...(quick ? [] : [10_000])],
    job: (files) => ({ files, bytes: 4096, rounds: atLeast(LEAST_REPLACES, files) }),
  },
  {
    name: "bytes",
    unit: "µs a MiB",
    contenders: ["atomicWrite", "raw node:fs, promises"],
    points: ({ quick }) => [
      100,
      ...[1, 10, 100].map((size) => size * KIB),
      ...[1, 10].map((size) => size * MIB),
      ...(quick ? [] : [100 * MIB, KIB * MIB]),
    ],
    // Streamed, or the data itself would be the peak.
    job: (bytes) => ({
      stream: true,
      bytes,
      rounds: Math.min(LEAST_REPLACES, atLeast(20 * MIB, bytes)),
    }),
    perItem: (microseconds, bytes) => microseconds / (bytes / MIB),
  },
  {
    name: "at once",
    unit: "µs a file",
    contenders: ["atomicWrite", "raw node:fs, promises"],
    points: () => [1, 10, 100, 1000],
    job: (together) => ({
      files: together,
      together,
      bytes: 4096,
      rounds: atLeast(LEAST_REPLACES, together),
    }),
  },
  {
    name: "processes",
    unit: "µs a file",
    contenders: ["atomicWrite", "raw node:fs, promises"],
    points: ({ quick }) => [1, 2, 4, 8, ...(quick ? [] : [16, 32, 64])],
    job: () => ({ bytes: 4096, rounds: LEAST_REPLACES / 4 }),
    processes: true,
  },
];

/** Answers { disk: { axis: { unit, curves: { contender: [{ at, perItem, peakMiB, worse }] } } } }. */
export async function benchGrowth({ quick, disks, runtimes }) {
  const repeats = quick ? 1 : 3;
  const report = {};
  for (const disk of quick ? disks.slice(-1) : disks) {
    report[disk.name] = {};
    for (const axis of AXES) {
      const runs = await measure({ axis, disk, disks, runtimes, repeats, quick });
      const curves = Object.fromEntries(
        Object.entries(runs).map(([title, points]) => [title, curve(points)]),
      );
      report[disk.name][axis.name] = { unit: axis.unit, curves };
      print(`Growth with ${axis.name} on ${disk.name}`, axis.unit, curves);
    }
  }
  return report;
}

/** Every contender in turn inside each repeat: { title: Map(at -> [{ perItem, peakMiB }]) }. */
async function measure({ axis, disk, disks, runtimes, repeats, quick }) {
  const runs = {};
  for (let repeat = 0; repeat < repeats; repeat++) {
    for (const at of axis.points({ quick })) {
      const processes = axis.processes ? at : 1;
      if (processes * PROCESS_MIB > availableMiB()) {
        console.log(`${processes} processes do not fit into the memory that is free: left out`);
        continue;
      }
      for (const runtime of runtimes) {
        for (const name of axis.contenders) {
          const job = { files: 1, together: 1, ...axis.job(at), name };
          const { microseconds, peakMiB } = await point(runtime, job, processes, disk, disks);
          const perItem = axis.perItem?.(microseconds, at) ?? microseconds;
          const curve = runs[`${runtime.name}: ${name}`] ??= new Map();
          curve.set(at, [...curve.get(at) ?? [], { perItem, peakMiB }]);
        }
      }
    }
  }
  return runs;
}

/** All processes work in one directory, each on files of its own; they start together when the last one is ready. */
async function point(runtime, job, processes, disk, disks) {
  const directory = disk.fresh();
  const workers = Array.from({ length: processes }, () => new Worker(runtime));
  try {
    const jobs = workers.map((_, index) => ({ ...job, directory, prefix: `file-${index}` }));
    await Promise.all(workers.map(async (worker, index) => {
      const warmDirectory = disks.at(-1).fresh();
      await worker.ask({ ...jobs[index], do: "prepareToGrow", warmDirectory, warmMs: WARM_MS });
      disks.at(-1).done(warmDirectory);
    }));
    const begin = performance.now();
    const answers = await Promise.all(
      workers.map((worker, index) => worker.ask({ ...jobs[index], do: "grow" })),
    );
    const together = (performance.now() - begin) * 1000 / processes / job.rounds;
    return {
      // Of several processes, what the directory got done; of one, what it saw itself.
      microseconds: processes === 1 ? answers[0].microseconds : together,
      peakMiB: Math.max(...answers.map(({ peakMiB }) => peakMiB ?? NaN)),
    };
  } finally {
    await Promise.all(workers.map((worker) => worker.close()));
    disk.done(directory);
  }
}

function curve(points) {
  let before;
  return [...points].map(([at, runs]) => {
    const perItem = median(runs.map((run) => run.perItem));
    const worse = before !== undefined && perItem > before * WORSE;
    before = perItem;
    return { at, perItem, peakMiB: median(runs.map((run) => run.peakMiB)), worse };
  });
}

function print(title, unit, curves) {
  const rows = Object.entries(curves).flatMap(([name, points]) =>
    points.map(({ at, perItem, peakMiB, worse }) => [
      name,
      String(at),
      figure(perItem),
      figure(peakMiB),
      worse ? `more than ${WORSE} times` : "",
    ])
  );
  printTable(title, ["", "at", unit, "peak RSS MiB", "worse than the point before"], rows);
}

function atLeast(items, each) {
  return Math.max(1, Math.ceil(items / each));
}

function availableMiB() {
  try {
    const memory = readFileSync("/proc/meminfo", "utf8");
    return Number(/MemAvailable:\s+(\d+)/.exec(memory)?.[1] ?? Infinity) / KIB;
  } catch {
    return Infinity;
  }
}

// Replacing files of 4 KiB: one at a time, 100 at once, 1000 at once, on the disk and on tmpfs.
//
// C and every contender on every runtime take turns inside each repeat, each in a fresh directory; the runtimes stay warm
// from one repeat to the next. All ratios are to C's sequential full replace of the same repeat.

import { figure, printTable, quartiles } from "../lib/text_table.mjs";
import { median, ratio, spread } from "../lib/stats.mjs";

const BASE = "C";

/** Answers { disk: { job: { contender: { median, …, ratio, delay, durability … } } } }. */
export async function benchReplaces({ quick, repeats, disks, workers, c }) {
  const jobs = [
    { name: "one at a time", files: 1, rounds: quick ? 40 : 200 },
    { name: "100 at once", files: 100, rounds: quick ? 1 : 4 },
    { name: "1000 at once", files: 1000, rounds: 1 },
  ];
  const contenders = await warmContenders(workers, disks.at(-1), quick ? 100 : 400);
  const report = {};
  for (const disk of disks) {
    const runs = Object.fromEntries(jobs.map(({ name }) => [name, {}]));
    const base = [];
    for (let repeat = 0; repeat < repeats; repeat++) {
      base.push(await repeatOnce({ disk, jobs, contenders, c, runs }));
    }
    report[disk.name] = {};
    for (const { name } of jobs) {
      report[disk.name][name] = summary(runs[name], base);
      print(`Replace of 4 KiB on ${disk.name}, ${name}, µs a file`, report[disk.name][name]);
    }
  }
  return report;
}

async function warmContenders(workers, disk, ms) {
  const contenders = [];
  for (const { runtime, worker } of workers) {
    const { contenders: known } = await worker.ask({ do: "list" });
    for (const one of known) {
      const directory = disk.fresh();
      await worker.ask({ do: "warm", name: one.name, directory, ms });
      disk.done(directory);
      contenders.push({ ...one, worker, title: `${runtime.name}: ${one.name}` });
    }
  }
  return contenders;
}

/** Answers C's microseconds, undefined without a compiler. */
async function repeatOnce({ disk, jobs, contenders, c, runs }) {
  let base;
  for (const { name, files, rounds } of jobs) {
    const add = (title, answer) => (runs[name][title] ??= []).push(answer);
    const inFresh = async (body) => {
      const directory = disk.fresh();
      const answer = await body(directory);
      disk.done(directory);
      return answer;
    };
    if (files === 1 && c !== undefined) {
      base = await inFresh((directory) => c(directory, rounds, "full"));
      add(BASE, { microseconds: base });
      const file = await inFresh((directory) => c(directory, rounds, "file"));
      add("C, no directory fsync", { microseconds: file });
    }
    for (const contender of contenders) {
      if (files === 1 ? !contender.one : contender.form === "sync") continue;
      const job = { do: "replace", name: contender.name, files, rounds };
      add(
        contender.title,
        await inFresh((directory) => contender.worker.ask({ ...job, directory })),
      );
    }
  }
  return base;
}

function summary(runs, base) {
  return Object.fromEntries(
    Object.entries(runs).map(([title, answers]) => {
      const values = answers.map(({ microseconds }) => microseconds);
      const delays = answers.flatMap(({ delay }) => delay ?? []);
      return [title, {
        ...spread(values),
        ratio: base.includes(undefined) ? undefined : ratio(values, base),
        delay: delays.length === 0 ? undefined : {
          maxMs: Math.max(...delays.map(({ maxMs }) => maxMs)),
          p99Ms: median(delays.map(({ p99Ms }) => p99Ms)),
        },
      }];
    }),
  );
}

function print(title, rows) {
  printTable(
    title,
    ["", "median", "quartiles", "to C", "quartiles", "loop delay p99 ms", "max ms"],
    Object.entries(rows).map(([name, { delay, ratio, ...own }]) => [
      name,
      figure(own.median),
      quartiles(own),
      figure(ratio?.median),
      ratio ? quartiles(ratio) : "",
      figure(delay?.p99Ms),
      figure(delay?.maxMs),
    ]),
  );
}

// `npm run bench [-- --quick] [-- --growth] [-- --only NAME] [-- --json FILE]`: what the promises cost, beside C, node:fs and the
// peers. Never part of the tests: the machine may be busy. `node bench/table.mjs FILE` makes docs/bench.md of the JSON.

import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { compileReplace } from "../bench/lib/c_program.mjs";
import { openDisks } from "../bench/lib/disks.mjs";
import { machineFacts } from "../bench/lib/machine.mjs";
import { openRuntimes } from "../bench/lib/runtimes.mjs";
import { Worker } from "../bench/lib/worker.mjs";
import { benchGrowth } from "../bench/suites/growth.mjs";
import { benchHashing } from "../bench/suites/hashing.mjs";
import { benchIdle } from "../bench/suites/idle.mjs";
import { benchLarge } from "../bench/suites/large.mjs";
import { benchLocks } from "../bench/suites/locks.mjs";
import { benchRecovery } from "../bench/suites/recovery.mjs";
import { benchReplaces } from "../bench/suites/replaces.mjs";
import { benchStart } from "../bench/suites/start.mjs";
import { benchTemps } from "../bench/suites/temps.mjs";
import { benchWaiting } from "../bench/suites/waiting.mjs";
import { buildNpm } from "./build_npm.mjs";

const SUITES = {
  replaces: benchReplaces,
  idle: benchIdle,
  locks: benchLocks,
  waiting: benchWaiting,
  temps: benchTemps,
  recovery: benchRecovery,
  large: benchLarge,
  start: benchStart,
  hashing: benchHashing,
  growth: benchGrowth,
};

const { values: { quick, growth, only, json } } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    growth: { type: "boolean", default: false },
    only: { type: "string", multiple: true },
    json: { type: "string" },
  },
});
const unknown = only?.find((name) => !Object.hasOwn(SUITES, name));
if (unknown !== undefined) {
  console.error(`No bench "${unknown}": there are ${Object.keys(SUITES).join(", ")}`);
  process.exit(2);
}
const wanted = only ?? Object.keys(SUITES).filter((name) => name !== "growth" || growth);

await buildNpm();
const runtimes = await openRuntimes();
const disks = openDisks();
const workers = runtimes.map((runtime) => ({ runtime, worker: new Worker(runtime) }));
const report = {
  date: new Date().toISOString().slice(0, 10),
  command: commandLine(),
  quick,
  repeats: quick ? 3 : 9,
  machine: machineFacts(disks, runtimes),
  samplers: await samplers(),
};
const c = compileReplace();
if (c === undefined) console.log("No C compiler: no ratios to C");
for (const name of wanted) {
  report[name] = await SUITES[name]({
    quick,
    repeats: report.repeats,
    disks,
    runtimes,
    workers,
    c,
  });
}
await Promise.all(workers.map(({ worker }) => worker.close()));
if (json) writeFileSync(json, `${JSON.stringify(report, undefined, 2)}\n`);

/** What measured the delay of the event loop, by runtime. */
async function samplers() {
  const found = {};
  for (const { runtime, worker } of workers) {
    found[runtime.name] = (await worker.ask({ do: "list" })).sampler;
  }
  return found;
}

function commandLine() {
  const flags = [
    ...(quick ? ["--quick"] : []),
    ...(growth ? ["--growth"] : []),
    ...(only ?? []).map((name) => `--only ${name}`),
    "--json FILE",
  ];
  return `npm run bench -- ${flags.join(" ")}`;
}

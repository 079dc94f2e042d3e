// `npm run test:crash`: the crash tests with everything in them, and what they went through. `npm test` runs a part of them.

import { readdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { root, run, tool } from "./lib.mjs";

// They compute and wait for nothing: a process for each file, as many at once as there are cores.
const files = readdirSync(join(root, "tests", "crash")).filter((name) => name.endsWith(".test.ts"));
const results = [];
await Promise.all(Array.from({ length: availableParallelism() }, async () => {
  for (let file = files.shift(); file !== undefined; file = files.shift()) {
    const result = await run(
      tool("bun"),
      ["test", "--timeout", "400000", `./tests/crash/${file}`],
      { env: { CRASHSAFE_EXHAUSTIVE: "1" } },
    );
    console.log(result.output.replace(/^(explored .*|bun test .*|Ran .*)\n/gm, "").trimEnd());
    results.push(result);
  }
}));
const output = results.map((result) => result.output).join("\n");
const sum = (pattern) => [...output.matchAll(pattern)].reduce((total, [, n]) => total + +n, 0);
const totals = {};
for (const [, line] of output.matchAll(/^explored (\{.*\})$/gm)) {
  for (const [name, count] of Object.entries(JSON.parse(line))) {
    totals[name] = (totals[name] ?? 0) + count;
  }
}
const figure = (name) => (totals[name] ?? 0).toLocaleString("en");
console.log(
  `
${figure("crashes")} crashes (kills, and power cuts by profile), ${figure("faults")} faulty runs,
${figure("trees")} distinct trees checked, ${
    figure("recoveries")
  } recoveries, each with a crash at every step,
${figure("states")} states in ${figure("schedules")} schedules,
${figure("violations")} violations, all of them in programs with a mistake made on purpose,
${
    figure("bounded")
  } explorations cut short by a bound (the search for a mistake ends with the first one)`,
);
const whole = results.every(({ ok }) => ok) && Object.keys(totals).length > 0;
// A process that did not come to its summary has failed, too.
const failed = Math.max(sum(/^ *(\d+) fail$/gm), whole ? 0 : 1);
console.log(`${sum(/^ *(\d+) pass$/gm)} passed, ${failed} failed`);
if (!whole) process.exitCode = 1;

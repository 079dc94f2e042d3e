// `npm run test:crash`: the crash tests with everything in them, and what they went through. `npm test` runs a part of them.

import { run, tool } from "./lib.mjs";

const { ok, output } = await run(
  tool("bun"),
  ["test", "--timeout", "280000", "./tests/crash"],
  { env: { ...process.env, CRASHSAFE_EXHAUSTIVE: "1" } },
);
const totals = {};
for (const [, line] of output.matchAll(/^explored (\{.*\})$/gm)) {
  for (const [name, count] of Object.entries(JSON.parse(line))) {
    totals[name] = (totals[name] ?? 0) + count;
  }
}
console.log(output.replace(/^explored .*\n/gm, ""));
const figure = (name) => (totals[name] ?? 0).toLocaleString("en");
console.log(
  `${figure("crashes")} crashes (kills, and power cuts by profile), ${figure("faults")} faulty runs,
${figure("trees")} distinct trees checked, ${
    figure("recoveries")
  } recoveries, each with a crash at every step,
${figure("states")} states in ${figure("schedules")} schedules,
${figure("violations")} violations, all of them in programs with a mistake made on purpose,
${
    figure("bounded")
  } explorations cut short by a bound (the search for a mistake ends with the first one)`,
);
const count = (word) => Number(new RegExp(`^ *(\\d+) ${word}$`, "m").exec(output)?.[1] ?? 0);
console.log(`${count("pass")} passed, ${count("fail")} failed`);
if (!ok || Object.keys(totals).length === 0) process.exitCode = 1;

// `npm run test:real`: real system calls, kills, file systems and devices instead of simulated ones. Needs root and strace; what cannot run says why. Prints the
// tables of docs/crash_model.md.

import { must, run, tool, withTempDir } from "./lib.mjs";
import { installProject, pack } from "./package_project.mjs";

const FILES = ["kills", "power_cuts", "dead_devices", "full_disks"];

await withTempDir(async (dir) => {
  // Bun runs the tests; the programs run on Bun and Deno from source and on Node from the package, with koffi for its locks.
  const project = await installProject(dir, await pack(dir), "koffi@^3");
  const { ok, output } = await run(
    tool("bun"),
    ["test", "--timeout", "280000", ...FILES.map((name) => `./tests/real/${name}.ts`)],
    { env: { CRASHSAFE_PACKED: project } },
  );
  const rows = [...output.matchAll(/^real (\{.*\})$/gm)].map(([, json]) => JSON.parse(json));
  console.log(output.replace(/^real .*\n/gm, ""));
  console.log(`Linux ${(await must("uname", ["-r"])).trim()}\n\n${tables(rows)}`);
  const count = (word) => Number(new RegExp(`^ *(\\d+) ${word}$`, "m").exec(output)?.[1] ?? 0);
  const skipped = count("skip") > 0 ? `, ${count("skip")} skipped` : "";
  const whole = ok && count("pass") + count("skip") > 0;
  const failed = Math.max(count("fail"), whole ? 0 : 1);
  console.log(`${count("pass")} passed, ${failed} failed${skipped}`);
  if (!whole) process.exitCode = 1;
});

/** Rows with the same columns are one table. */
function tables(rows) {
  const byColumns = new Map();
  for (const row of rows) {
    const columns = Object.keys(row).join();
    byColumns.set(columns, [...(byColumns.get(columns) ?? []), row]);
  }
  return [...byColumns.values()].map((group) => {
    const names = Object.keys(group[0]);
    const line = (cells) => `| ${cells.join(" | ")} |\n`;
    return line(names) + line(names.map(() => "---")) +
      group.map((row) => line(Object.values(row))).join("");
  }).join("\n");
}

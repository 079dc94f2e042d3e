// What waiting for a lock costs: how soon a waiter in another process has it after the release, and its share of a core meanwhile.

import { spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import { root } from "../../scripts/lib.mjs";
import { program } from "../lib/runtimes.mjs";
import { spread } from "../lib/stats.mjs";
import { figure, printTable, quartiles } from "../lib/text_table.mjs";

export async function benchWaiting({ quick, runtimes, disks }) {
  const { FileLock } = await import(pathToFileURL(join(root, "npm", "dist", "node.js")).href);
  const [disk] = disks;
  const directory = disk.fresh();
  const report = {};
  for (const { name, command: [binary, ...flags], module } of runtimes) {
    const path = join(directory, "lock");
    const child = spawn(binary, [...flags, program("waiter.mjs"), module, path], {
      env: { ...process.env, NO_COLOR: "1", DENO_NO_PACKAGE_JSON: "1" },
      stdio: ["pipe", "pipe", "inherit"],
    });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const next = async () => JSON.parse((await lines.next()).value);
    /** Lets it wait for so long, and answers what it tells. */
    const wait = async (ms) => {
      const lock = await FileLock.acquire(path);
      child.stdin.write("\n");
      await next();
      await new Promise((resolve) => setTimeout(resolve, ms));
      const released = performance.timeOrigin + performance.now();
      await lock.release();
      const { came, coreShare } = await next();
      return { handoverMs: came - released, coreShare };
    };
    const handovers = [];
    for (let round = 0; round < (quick ? 30 : 200); round++) {
      handovers.push((await wait(30 + Math.random() * 10)).handoverMs);
    }
    const { coreShare } = await wait(quick ? 2_000 : 10_000);
    child.stdin.end();
    report[name] = { handoverMs: spread(handovers), coreShare };
  }
  disk.done(directory);
  printTable(
    "Waiting for a lock that another process holds",
    ["", "hand-over, ms", "quartiles", "share of a core, %"],
    Object.entries(report).map(([name, { handoverMs, coreShare }]) => [
      name,
      figure(handoverMs.median),
      quartiles(handoverMs),
      figure(coreShare * 100),
    ]),
  );
  return report;
}

// Copies of one large file on tmpfs: gigabytes a second, and the resident memory that the copy adds.

import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { must } from "../../scripts/lib.mjs";
import { program } from "../lib/runtimes.mjs";
import { median } from "../lib/stats.mjs";
import { figure, printTable } from "../lib/text_table.mjs";

const KINDS = [
  "copyFrom, verified",
  "copyFromSync, verified",
  "copyFrom",
  "stream",
  "draining",
];

export async function benchLarge({ quick, repeats, disks, runtimes }) {
  const bytes = quick ? 2 ** 27 : 2 ** 30;
  const source = join(disks.at(-1).fresh(), "large");
  const target = `${source}.copy`;
  fill(source, bytes);
  const { hashFile } = await import(runtimes.find(({ name }) => name === "Node").module);
  const digest = await hashFile(source);
  const samples = {};
  const add = (name, sample) => (samples[name] ??= []).push(sample);
  for (let repeat = 0; repeat < Math.ceil(repeats / 3); repeat++) {
    rmSync(target, { force: true });
    const begin = performance.now();
    await must("cp", [source, target]);
    add("cp", { seconds: (performance.now() - begin) / 1000, addedMiB: 0 });
    for (const { name, command: [binary, ...flags], module } of runtimes) {
      for (const kind of KINDS) {
        const args = [...flags, program("large.mjs"), module, kind, source, target, digest];
        add(`${name}: ${kind}`, JSON.parse(await must(binary, args)));
      }
    }
    rmSync(target, { force: true });
  }
  rmSync(source);
  const report = Object.fromEntries(
    Object.entries(samples).map(([name, runs]) => [name, {
      gigabytesPerSecond: bytes / 1e9 / median(runs.map(({ seconds }) => seconds)),
      addedMiB: median(runs.map(({ addedMiB }) => addedMiB)),
    }]),
  );
  printTable(
    `Copy of ${bytes / 2 ** 20} MiB on ${disks.at(-1).name}`,
    ["", "GB/s", "added MiB"],
    Object.entries(report).map((
      [name, { gigabytesPerSecond, addedMiB }],
    ) => [name, figure(gigabytesPerSecond), figure(addedMiB)]),
  );
  return report;
}

function fill(path, bytes) {
  const block = Buffer.alloc(1 << 24, "crash safe ");
  writeFileSync(path, "");
  for (let at = 0; at < bytes; at += block.length) writeFileSync(path, block, { flag: "a" });
}

// `npm run bench [-- --quick] [-- --json FILE]`: what the promises cost. Never part of the tests: the machine may be busy.
//
// Every contender runs in turn inside each repeat; the figures are medians, with the quartiles beside them. On ext4 a block
// group that saw thousands of creates gets slow, so each job has a fresh directory, right below one whose
// children the allocator spreads (chattr +T).

import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { build } from "esbuild";
import { buildNpm } from "./build_npm.mjs";
import { must, root, tool } from "./lib.mjs";

const { values: { quick, json } } = parseArgs({
  options: { quick: { type: "boolean" }, json: { type: "string" } },
});
const REPEATS = quick ? 3 : 9;
const REPLACES = quick ? 50 : 200;
const LARGE_BYTES = quick ? 2 ** 28 : 2 ** 30;

await buildNpm();
const url = (path) => pathToFileURL(join(root, path)).href;
const RUNTIMES = [
  {
    name: "Deno",
    command: [tool("deno"), "run", "-A", "--no-check"],
    module: url("deno.ts"),
    xxh3: url("src/hash/xxh3.ts"),
  },
  { name: "Bun", command: [tool("bun")], module: url("bun.ts"), xxh3: url("src/hash/xxh3.ts") },
  {
    name: `Node ${process.versions.node.split(".")[0]}`,
    command: [process.execPath],
    module: url("npm/dist/node.js"),
    // The package has it inside a chunk; Node needs it without types.
    xxh3: pathToFileURL(await compiled("src/hash/xxh3.ts")).href,
  },
];
async function compiled(source) {
  const outfile = join(root, "build", "bench", "xxh3.mjs");
  await build({ absWorkingDir: root, entryPoints: [source], outfile, format: "esm" });
  return outfile;
}

const DISKS = [["disk", mkdtempSync(join(tmpdir(), "crashsafe-bench-"))]];
if (existsSync("/dev/shm")) DISKS.push(["tmpfs", mkdtempSync("/dev/shm/crashsafe-bench-")]);
process.on("exit", () => {
  for (const [, dir] of DISKS) rmSync(dir, { recursive: true, force: true });
});
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(130));

const report = {
  date: new Date().toISOString(),
  repeats: REPEATS,
  replaces: {},
  large: {},
  start: {},
  xxh3: {},
};
await benchReplaces();
await benchLarge();
await benchStart();
await benchHashing();
if (json) writeFileSync(json, `${JSON.stringify(report, undefined, 2)}\n`);

async function benchReplaces() {
  const c = compileC();
  for (const [disk, parent] of DISKS) {
    spawnSync("chattr", ["+T", parent], { stdio: "ignore" });
    const samples = {};
    const add = (name, value) => (samples[name] ??= []).push(value);
    for (let repeat = 0; repeat < REPEATS; repeat++) {
      if (c !== undefined) add("C", Number(await must(c, [fresh(parent), String(REPLACES)])));
      for (const { name, command: [binary, ...flags], module } of RUNTIMES) {
        const args = [
          ...flags,
          join(root, "bench", "replaces.mjs"),
          module,
          fresh(parent),
          String(REPLACES),
        ];
        const times = JSON.parse(await must(binary, args));
        for (const [contender, value] of Object.entries(times)) add(`${name}: ${contender}`, value);
      }
    }
    report.replaces[disk] = Object.fromEntries(
      Object.entries(samples).map(([name, values]) => [name, spread(values)]),
    );
    const baseOf = (name) =>
      samples[
        name.replace(/: atomicWriteSync$/, ": raw node:fs, sync").replace(
          /: atomicWrite$/,
          ": raw node:fs, promises",
        )
      ];
    table(
      `Durable replace of 4 KiB on ${disk}, µs`,
      ["", "median", "quartiles", "to C", "to raw"],
      Object.entries(samples).map(([name, values]) => [
        name,
        median(values).toFixed(0),
        quartiles(values),
        samples.C ? ratio(values, samples.C) : "",
        /atomicWrite/.test(name) ? ratio(values, baseOf(name)) : "",
      ]),
    );
  }
}

async function benchLarge() {
  const [, dir] = DISKS.at(-1);
  const source = join(dir, "large");
  writeFileSync(source, "");
  const block = Buffer.alloc(1 << 24, "crash safe ");
  for (let at = 0; at < LARGE_BYTES; at += block.length) {
    writeFileSync(source, block, { flag: "a" });
  }
  const { hashFile } = await import(url("npm/dist/node.js"));
  const digest = await hashFile(source);
  const kinds = ["copyFrom, verified", "copyFromSync, verified", "copyFrom", "stream", "draining"];
  const samples = {};
  for (let repeat = 0; repeat < Math.ceil(REPEATS / 3); repeat++) {
    rmSync(`${source}.copy`, { force: true });
    const begin = performance.now();
    await must("cp", [source, `${source}.copy`]);
    (samples["cp"] ??= []).push({ seconds: (performance.now() - begin) / 1000, addedMiB: 0 });
    for (const { name, command: [binary, ...flags], module } of RUNTIMES) {
      for (const kind of kinds) {
        const args = [
          ...flags,
          ...(name.startsWith("Node") ? ["--expose-gc"] : []),
          join(root, "bench", "large.mjs"),
        ];
        const output = await must(binary, [
          ...args,
          module,
          kind,
          source,
          `${source}.copy`,
          digest,
        ]);
        (samples[`${name}: ${kind}`] ??= []).push(JSON.parse(output));
      }
    }
    rmSync(`${source}.copy`, { force: true });
  }
  rmSync(source);
  const rows = Object.entries(samples).map(([name, runs]) => {
    const speed = LARGE_BYTES / 1e9 / median(runs.map((one) => one.seconds));
    const added = median(runs.map((one) => one.addedMiB));
    report.large[name] = { gigabytesPerSecond: speed, addedMiB: added };
    return [name, speed.toFixed(2), added.toFixed(1)];
  });
  table(`Copy of ${LARGE_BYTES / 2 ** 20} MiB on tmpfs`, ["", "GB/s", "added MiB"], rows);
}

async function benchStart() {
  const [, dir] = DISKS[0];
  const empty = join(dir, "empty.mjs");
  writeFileSync(empty, "console.log(0);\n");
  const rows = [];
  for (const { name, command: [binary, ...flags], module } of RUNTIMES) {
    const importing = join(dir, "importing.mjs");
    writeFileSync(
      importing,
      `const begin = performance.now();\nawait import(${
        JSON.stringify(module)
      });\nconsole.log(performance.now() - begin);\n`,
    );
    const samples = [];
    for (let repeat = 0; repeat < REPEATS; repeat++) {
      samples.push(Number(await must(binary, [...flags, importing])));
    }
    report.start[name] = spread(samples);
    rows.push([name, median(samples).toFixed(1), quartiles(samples)]);
  }
  table("import of the package, ms", ["", "median", "quartiles"], rows);
}

async function benchHashing() {
  const wasm = url("node_modules/hash-wasm/dist/index.esm.js");
  const rows = [];
  for (const { name, command: [binary, ...flags], xxh3 } of RUNTIMES) {
    const runs = [];
    for (let repeat = 0; repeat < Math.ceil(REPEATS / 3); repeat++) {
      runs.push(
        JSON.parse(await must(binary, [...flags, join(root, "bench", "hashing.mjs"), xxh3, wasm])),
      );
    }
    for (const size of Object.keys(runs[0])) {
      const [ours, theirs] = [0, 1].map((which) => median(runs.map((run) => run[size][which])));
      report.xxh3[`${name}, ${size} bytes`] = { typescript: ours, hashWasm: theirs };
      rows.push([`${name}, ${size} bytes`, ours.toFixed(2), theirs.toFixed(2)]);
    }
  }
  table("XXH3-128, GB/s", ["", "TypeScript", "hash-wasm"], rows);
}

function compileC() {
  const binary = join(DISKS[0][1], "replace");
  const { status } = spawnSync("cc", ["-O2", "-o", binary, join(root, "bench", "replace.c")], {
    stdio: "ignore",
  });
  return status === 0 ? binary : undefined;
}

function fresh(parent) {
  const dir = mkdtempSync(join(parent, "run-"));
  spawnSync("chattr", ["+T", dir], { stdio: "ignore" });
  return dir;
}

function median(values) {
  return quantile(values, 0.5);
}

function quantile(values, at) {
  const sorted = [...values].sort((a, b) => a - b);
  const place = (sorted.length - 1) * at;
  const below = sorted[Math.floor(place)];
  return below + (sorted[Math.ceil(place)] - below) * (place % 1);
}

function quartiles(values) {
  return [0.25, 0.75].map((at) => quantile(values, at).toFixed(quantile(values, at) < 20 ? 1 : 0))
    .join(" to ");
}

/** The median of the ratios inside each repeat, which noise that lasts longer than a repeat does not touch. */
function ratio(values, base) {
  return median(values.map((value, index) => value / base[index])).toFixed(2);
}

function spread(values) {
  return {
    median: median(values),
    lowerQuartile: quantile(values, 0.25),
    upperQuartile: quantile(values, 0.75),
  };
}

function table(title, head, rows) {
  console.log(`\n${title}\n`);
  const line = (cells) => `| ${cells.join(" | ")} |`;
  console.log(line(head));
  console.log(line(head.map((_, index) => index === 0 ? "---" : "---:")));
  for (const row of rows) console.log(line(row));
}

// `npm run demo [-- FILE]`: publishes a real file while readers watch and writers are killed, on all three runtimes, and the
// same with fs.writeFile for comparison.

import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import {
  closeSync,
  copyFileSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { buildNpm } from "./build_npm.mjs";
import { root, tool } from "./lib.mjs";

const KILLS = 6;
const PUBLISHED = 6;
const LARGEST_DEFAULT_BYTES = 48 * 2 ** 20;

const url = (path) => pathToFileURL(join(root, path)).href;
const CONTENDERS = [
  { name: "Deno", command: [tool("deno"), "run", "-A", "--no-check"], module: url("deno.ts") },
  { name: "Bun", command: [tool("bun")], module: url("bun.ts") },
  { name: "Node", command: [process.execPath], module: url("npm/dist/node.js") },
  { name: "fs.writeFile", command: [process.execPath], module: "plain" },
];

const source = resolve(process.argv[2] ?? largeFile());
const size = statSync(source).size;
if (size < 200_000) {
  throw new Error(`${source} has ${size} bytes, too few to kill a writer in the middle`);
}
await buildNpm();
const { hashFile } = await import(url("npm/dist/node.js"));

const directory = mkdtempSync(join(tmpdir(), "crashsafe-demo-"));
const children = new Set();
process.on("exit", cleanUp);
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(130));

console.log(`Publishing ${source} (${(size / 2 ** 20).toFixed(1)} MiB), verified by its xxh3-128,`);
console.log(
  `while a reader looks at it all the time and ${KILLS} of ${
    KILLS + PUBLISHED
  } writers are killed with SIGKILL.\n`,
);
const versions = await makeVersions();
const rows = [];
for (const contender of CONTENDERS) rows.push(await contest(contender));
print(rows);
const bad = rows.filter((row) =>
  row.module !== "plain" && (row.torn > 0 || row.foreign > 0 || row.seen < 2)
);
if (bad.length > 0) {
  console.error(`\nNot as promised: ${bad.map((row) => row.name).join(", ")}`);
  process.exitCode = 1;
}

/** Two versions of one size that differ from the first byte to the last. */
async function makeVersions() {
  const paths = ["one", "two"].map((name) => join(directory, `version-${name}`));
  for (const path of paths) copyFileSync(source, path);
  const other = openSync(paths[1], "r+");
  const bytes = readFileSync(paths[0]);
  for (let at = 0; at < bytes.length; at++) bytes[at] ^= 0x5a;
  for (let at = 0; at < bytes.length;) at += writeSync(other, bytes, at);
  closeSync(other);
  return await Promise.all(paths.map(async (path) => ({
    path,
    digest: await hashFile(path),
    seenAs: sampled(readFileSync(path)),
  })));
}

/** As demo/reader.mjs sees a file. */
function sampled(bytes) {
  const hash = createHash("sha256").update(`${bytes.length}`);
  for (let part = 0; part <= 64; part++) {
    const at = Math.max(0, Math.floor((bytes.length - 4096) * part / 64));
    hash.update(bytes.subarray(at, at + 4096));
  }
  return hash.digest("hex");
}

async function contest(contender) {
  const place = mkdtempSync(join(directory, "place-"));
  const target = join(place, "published");
  copyFileSync(versions[0].path, target);
  const reader = start([
    process.execPath,
    join(root, "demo", "reader.mjs"),
    target,
    ...versions.map((one) => one.seenAs),
  ]);
  await once(reader.child.stdout, "data");
  let killed = 0;
  for (let round = 1; round <= KILLS + PUBLISHED; round++) {
    const version = versions[round % 2];
    const writer = start([
      ...contender.command,
      join(root, "demo", "writer.mjs"),
      contender.module,
      version.path,
      target,
      version.digest,
    ]);
    if (round % 2 === 0 && await grown(contender, place, writer)) {
      writer.child.kill("SIGKILL");
      if ((await writer.ended).signal === "SIGKILL") killed++;
    } else {
      const { code, stderr } = await writer.ended;
      if (code !== 0 && round % 2 === 1) throw new Error(`${contender.name}: ${stderr}`);
    }
  }
  reader.child.stdin.end();
  const { stdout } = await reader.ended;
  const left = readdirSync(place).filter((name) => name !== "published");
  const orphans = left.filter((name) => /^\.published\.[a-z2-7]{26}\.cs1[lu]$/.test(name));
  for (const name of orphans) unlinkSync(join(place, name));
  return {
    ...contender,
    ...JSON.parse(stdout.trim().split("\n").at(-1)),
    killed,
    orphans: orphans.length,
    foreign: left.length - orphans.length,
  };
}

/** Waits until the writer is in the middle: part of the new content is on disk. False when it ended before. */
async function grown(contender, place, writer) {
  const enough = size * (0.1 + 0.7 * Math.random());
  let ended = false;
  void writer.ended.then(() => {
    ended = true;
  });
  const before = new Set(readdirSync(place));
  for (;;) {
    for (const name of readdirSync(place)) {
      const plain = contender.module === "plain";
      if (plain === before.has(name)) {
        const now = statSync(join(place, name), { throwIfNoEntry: false })?.size ?? 0;
        if (plain ? now < size : now >= enough) return true;
      }
    }
    if (ended) return false;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function start([command, ...args]) {
  const child = spawn(command, args, { stdio: ["pipe", "pipe", "pipe"] });
  children.add(child);
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text) => {
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text) => {
    stderr += text;
  });
  const ended = once(child, "close").then(([code, signal]) => {
    children.delete(child);
    return { code, signal, stdout, stderr };
  });
  return { child, ended };
}

function print(table) {
  const head = ["", "killed", "reads", "versions seen", "torn reads", "temporary files left", ""];
  const lines = table.map((row) => [
    row.name,
    `${row.killed}`,
    `${row.reads}`,
    `${row.seen}`,
    `${row.torn}`,
    row.module === "plain" ? "-" : `${row.orphans}, recognised`,
    row.torn === 0 ? "✓ whole versions only" : "✗ readers saw torn files",
  ]);
  const widths = head.map((title, column) =>
    Math.max(title.length, ...lines.map((line) => line[column].length))
  );
  for (const line of [head, ...lines]) {
    console.log(line.map((cell, column) => cell.padEnd(widths[column])).join("  ").trimEnd());
  }
}

/** The largest file of node_modules that a demonstration has patience for. */
function largeFile() {
  let best = { path: "", size: 0 };
  for (
    const entry of readdirSync(join(root, "node_modules"), { recursive: true, withFileTypes: true })
  ) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const { size } = statSync(path);
    if (size > best.size && size <= LARGEST_DEFAULT_BYTES) best = { path, size };
  }
  return best.path;
}

function cleanUp() {
  for (const child of children) child.kill("SIGKILL");
  rmSync(directory, { recursive: true, force: true });
}

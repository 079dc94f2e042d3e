// One job, when standard input ends: everything that it loads is loaded before. For those who kill it in the middle.

import { mkdirSync, readSync, writeFileSync } from "node:fs";
import process from "node:process";
import {
  atomicWrite,
  atomicWriteAll,
  atomicWriteAllSync,
  atomicWriteSync,
  TempDir,
} from "@crashsafe/fs";

const [job = "", dir = ""] = process.argv.slice(2);

function entries(at: string): { path: string; data: string }[] {
  return ["a", "b", "c"].map((name) => ({ path: `${at}/${name}`, data: `new ${name}` }));
}

const jobs: Readonly<Record<string, (at: string) => unknown>> = {
  careless: (at) => writeFileSync(`${at}/a`, "new a"),
  replace: (at) => atomicWrite(`${at}/a`, "new a"),
  replaceSync: (at) => atomicWriteSync(`${at}/a`, "new a"),
  group: (at) => atomicWriteAll(entries(at)),
  groupSync: (at) => atomicWriteAllSync(entries(at)),
  tempDir: async (at) => {
    const temp = await TempDir.create(`${at}/root`);
    await temp.stageDeletion(`${at}/a`, { durability: "full" });
    const addition = temp.stageAddition();
    fill(addition.path);
    await addition.commit(`${at}/b`, { durability: "full" });
    await temp.cleanup();
  },
  tempDirSync: (at) => {
    const temp = TempDir.createSync(`${at}/root`);
    temp.stageDeletionSync(`${at}/a`, { durability: "full" });
    const addition = temp.stageAddition();
    fill(addition.path);
    addition.commitSync(`${at}/b`, { durability: "full" });
    temp.cleanupSync();
  },
};

function fill(path: string): void {
  mkdirSync(path);
  writeFileSync(`${path}/one`, "new one");
  writeFileSync(`${path}/two`, "new two");
}

const run = jobs[job];
if (run === undefined) throw new Error(`no job ${job}`);
const rehearsal = `${dir}-rehearsal`;
mkdirSync(rehearsal);
writeFileSync(`${rehearsal}/a`, "old");
await run(rehearsal);
console.log("ready");
try {
  readSync(0, new Uint8Array(1));
} catch {
  // It is open without O_NONBLOCK on two runtimes of three.
  await new Promise((resolve) => process.stdin.once("end", resolve).resume());
}
await run(dir);
console.log("done");

// Publishes version after version of many files at once, every way there is, and says of each when it was promised to survive:
//
//     wrote WAY N        version N of the file WAY
//     added N, gone N    the directory added-N has its name; it has none any more
//     failed WAY CODE    an error of ours; anything else ends the process
//
// Until it is killed, or until everything has failed.

import { mkdirSync, writeFileSync, writeSync } from "node:fs";
import process from "node:process";
import {
  AtomicFile,
  atomicWrite,
  atomicWriteAll,
  atomicWriteAllSync,
  CrashSafeError,
  createTempFile,
  type Durability,
  LockedUpdate,
  TempDir,
} from "@crashsafe/fs";
import { terminals } from "../support/terminals.ts";
import { version } from "../support/versions.ts";

const [dir = "", inputs = "", which = "all"] = process.argv.slice(2);
const GROUP = ["a", "b", "c", "d"];

function say(line: string): void {
  // One write(2): whoever cuts the power meanwhile reads all of it or nothing.
  writeSync(1, `${line}\n`);
}

type Way = (n: number) => unknown;
const ways: Record<string, Way> = {};
for (const terminal of terminals) {
  ways[terminal.name] = (n) =>
    terminal.run(`${dir}/${terminal.name}`, version(terminal.name, n), {}, inputs);
}

function group(name: string, n: number): { path: string; data: string }[] {
  return GROUP.map((one) => ({
    path: `${dir}/${name}-${one}`,
    data: version(`${name}-${one}`, n),
  }));
}
ways["group"] = (n) => atomicWriteAll(group("group", n));
ways["groupSync"] = (n) => atomicWriteAllSync(group("groupSync", n));
ways["coalesced"] = async (n) => {
  const file = new AtomicFile(`${dir}/coalesced`, { coalesce: true });
  await Promise.all([0, 1, 2].map((k) => file.write(version("coalesced", 3 * n + k - 2))));
};
ways["lockedUpdate"] = async (n) => {
  const update = await LockedUpdate.acquire(`${dir}/lockedUpdate`, { durability: "full" });
  await update.write(version("lockedUpdate", n));
  await update.commit();
};
ways["persist"] = async (n) => {
  const file = await createTempFile(dir);
  await file.write(version("persist", n));
  await file.persist(`${dir}/persist`, { durability: "full" });
};

/** Less than everything: for the proof that the loss would be seen. */
const careless: Readonly<Record<Durability, Way>> = {
  none: (n) => atomicWrite(`${dir}/write`, version("write", n), { durability: "none" }),
  file: (n) => atomicWrite(`${dir}/write`, version("write", n), { durability: "file" }),
  full: (n) => atomicWrite(`${dir}/write`, version("write", n), { durability: "full" }),
};

/** What everybody does, in turn with 16 files. */
async function plainly(): Promise<void> {
  for (let n = 1;; n++) {
    const name = `plain-${n % 16}`;
    writeFileSync(`${dir}/${name}`, version(name, n));
    say(`wrote ${name} ${n}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** Files of one way, as they are named after its acknowledgement. */
function files(name: string): readonly string[] {
  return name.startsWith("group") ? GROUP.map((one) => `${name}-${one}`) : [name];
}

async function go(name: string, way: Way): Promise<void> {
  for (let n = 1;; n++) {
    await way(n);
    for (const file of files(name)) say(`wrote ${file} ${name === "coalesced" ? 3 * n : n}`);
    // The synchronous ones leave the others a turn.
    await new Promise((resolve) => setTimeout(resolve));
  }
}

async function directories(): Promise<void> {
  const temp = await TempDir.create(`${dir}/root`);
  for (let n = 1;; n++) {
    const addition = temp.stageAddition();
    mkdirSync(`${addition.path}/below`, { recursive: true });
    writeFileSync(`${addition.path}/below/file`, version("below", n));
    await addition.commit(`${dir}/added-${n}`, { durability: "full" });
    say(`added ${n}`);
    if (n === 1) continue;
    await temp.stageDeletion(`${dir}/added-${n - 1}`, { durability: "full" });
    say(`gone ${n - 1}`);
  }
}

async function told(name: string, work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (error) {
    // What the test itself writes and makes fails with errors of the runtime.
    const code = (error as { code?: string }).code ?? "";
    const ours = error instanceof CrashSafeError;
    if (!ours && name !== "directories" && !/^(copy|concat)From/.test(name)) throw error;
    say(`failed ${name} ${ours ? error.name : "Error"} ${code}`);
  }
}

if (which === "all") {
  const all = Object.entries(ways).map(([name, way]) => told(name, go(name, way)));
  await Promise.all([...all, told("directories", directories())]);
} else if (which === "plain") {
  await plainly();
} else {
  await told("write", go("write", careless[which as Durability]));
}

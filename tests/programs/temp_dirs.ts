// Lives with temporary directories until it is killed: creator, recoverer or sweeper, over one root. Prints a line when something
// is not as it has to be, and "ready" in the beginning.

import { createTempFileSync, recoverStaleDirs, sweepOrphans, TempDir } from "@crashsafe/fs";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import process from "node:process";

const [role = "", root = "", store = ""] = process.argv.slice(2);

/** Descriptors of this process; 0 where that cannot be seen. */
function descriptors(): number {
  return existsSync("/proc/self/fd") ? readdirSync("/proc/self/fd").length : 0;
}

function fail(what: string): never {
  console.log(`BROKEN: ${what}`);
  process.exit(1);
}

const roles: Readonly<Record<string, (round: number) => Promise<void>>> = {
  async creator(round) {
    const temp = await TempDir.create(root);
    const addition = temp.stageAddition();
    mkdirSync(`${addition.path}/sub`, { recursive: true });
    writeFileSync(`${addition.path}/sub/file`, "content");
    const name = `${store}/${process.pid}-${round}`;
    const file = createTempFileSync(store);
    file.writeSync("content");
    const closed = file.closeSync();
    // Others have time to take what they must not.
    await new Promise((resolve) => setTimeout(resolve));
    if (!existsSync(`${addition.path}/sub/file`)) fail("an addition of a living process is gone");
    await addition.commit(name);
    if (!existsSync(closed.path)) fail("a closed file of a living process is gone");
    await closed.persist(`${name}.file`, { durability: "none" });
    await temp.stageDeletion(name);
    await temp.stageDeletion(`${name}.file`);
    if (!existsSync(temp.path)) fail("a directory of a living process is gone");
    await temp.cleanup();
  },
  async recoverer() {
    const { failed } = await recoverStaleDirs(root);
    if (failed[0] !== undefined) fail(failed[0].error.message);
  },
  async sweeper() {
    const { failed } = await sweepOrphans(store);
    if (failed[0] !== undefined) fail(failed[0].error.message);
  },
};

console.log("ready");
const work = roles[role] ?? fail(`no role ${role}`);
for (let round = 0; round < 5; round++) await work(round);
const before = descriptors();
for (let round = 5;; round++) {
  try {
    await work(round);
  } catch (error) {
    fail(String((error as Error).stack));
  }
  if (round % 50 === 0 && descriptors() > before + 5) fail("descriptors are left open");
}

// Fills a small file system, then tries every way of writing, makes room, and tries again. Prints a line for each refusal.

import assert from "node:assert/strict";
import {
  closeSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeSync,
} from "node:fs";
import process from "node:process";
import {
  atomicWriteAll,
  atomicWriteAllSync,
  atomicWriteSync,
  createTempFile,
  GroupPublishError,
  LockedUpdate,
  PublishError,
  recoverStaleDirs,
  TempDir,
} from "@crashsafe/fs";
import { terminals } from "../support/terminals.ts";

const [disk = "", inputs = ""] = process.argv.slice(2);
const BIG = "x".repeat(2 ** 21);

type Way = (path: string, content: string) => unknown;
const ways = new Map<string, Way>();
for (const terminal of terminals) {
  ways.set(terminal.name, (path, content) => terminal.run(path, content, {}, inputs));
}
ways.set("lockedUpdate", async (path, content) => {
  await using update = await LockedUpdate.acquire(path);
  await update.write(content);
  await update.commit();
});
ways.set("persist", async (path, content) => {
  await using file = await createTempFile(disk);
  await file.write(content);
  await file.persist(path, { durability: "full" });
});

/** The first two files fit, the third does not. */
function group(content: string): { path: string; data: string }[] {
  return [1, 2, 3].map((n) => ({
    path: `${disk}/group-${n}`,
    data: n === 3 ? content : `new ${n}`,
  }));
}
const groups = new Map<string, (content: string) => unknown>([
  ["group", (content) => atomicWriteAll(group(content))],
  ["groupSync", (content) => atomicWriteAllSync(group(content))],
]);

/** Takes all that is there, but for some room. */
function fill(room: number): void {
  const fd = openSync(`${disk}/filler`, "a");
  let size = 0;
  try {
    for (let chunk = 2 ** 20; chunk >= 512;) {
      try {
        size += writeSync(fd, new Uint8Array(chunk));
      } catch (error) {
        if ((error as { code: string }).code !== "ENOSPC") throw error;
        chunk /= 2;
      }
    }
  } finally {
    closeSync(fd);
  }
  if (room > 0) truncateSync(`${disk}/filler`, size - room);
}

async function refused(name: string, attempt: () => unknown): Promise<void> {
  const before = readdirSync(disk).sort();
  await assert.rejects(async () => await attempt(), (error) => {
    const { code } = error as { code: string };
    assert.ok(!(error instanceof GroupPublishError));
    assert.equal(code, "ENOSPC", String(error));
    if (error instanceof PublishError) {
      assert.match(error.message, /no space left on device.*nothing was published/);
      assert.equal(error.leftover, undefined);
    }
    console.log(`refused ${name} ${(error as Error).name}`);
    return true;
  });
  assert.deepEqual(readdirSync(disk).sort(), before, `${name} leaves nothing`);
}

for (const name of ways.keys()) atomicWriteSync(`${disk}/${name}`, "old");
for (const { path } of group("")) atomicWriteSync(path, "old");

fill(0);
for (const [name, way] of ways) {
  await refused(name, () => way(`${disk}/${name}`, BIG));
  assert.equal(readFileSync(`${disk}/${name}`, "utf8"), "old");
}
rmSync(`${disk}/filler`);
fill(2 ** 20);
for (const [name, write] of groups) {
  await refused(name, () => write(BIG));
  for (const { path } of group("")) assert.equal(readFileSync(path, "utf8"), "old");
}
rmSync(`${disk}/filler`);

for (const [name, way] of ways) {
  await way(`${disk}/${name}`, BIG);
  assert.equal(readFileSync(`${disk}/${name}`, "utf8"), BIG);
  await way(`${disk}/${name}`, "small");
}
for (const write of groups.values()) {
  await write(BIG);
  assert.equal(readFileSync(`${disk}/group-3`, "utf8"), BIG);
  await write("small");
}

// A directory of its own: what it cannot do when there is nothing left, it can once there is.
fill(0);
try {
  await (await TempDir.create(`${disk}/root`)).cleanup();
} catch (error) {
  assert.equal((error as { code: string }).code, "ENOSPC", String(error));
}
rmSync(`${disk}/filler`);
const temp = await TempDir.create(`${disk}/root`);
await temp.stageDeletion(`${disk}/write`, { durability: "full" });
fill(0);
await temp.cleanup();
rmSync(`${disk}/filler`);
assert.deepEqual((await recoverStaleDirs(`${disk}/root`)).failed, []);
assert.deepEqual(readdirSync(`${disk}/root`), []);
console.log("done");

// A counter that programs in any language may share: `shared_counter FILE`.
// Each run adds one, under the lock of FILE.lock, which flock(1) and Python's fcntl.flock take as well.

import { atomicWrite, withLock } from "@crashsafe/fs";
import { existsSync, readFileSync } from "node:fs";
import process from "node:process";

const [file] = process.argv.slice(2);
if (file === undefined) throw new Error("usage: shared_counter FILE");

await withLock(`${file}.lock`, async () => {
  const count = existsSync(file) ? Number(readFileSync(file, "utf8")) : 0;
  await atomicWrite(file, `${count + 1}\n`);
});

// Replaces of 4 KiB on one runtime: replaces.mjs MODULE DIRECTORY COUNT prints { contender: microseconds a replace }.

import fs from "node:fs";
import { join } from "node:path";
import process from "node:process";

const [module, directory, count] = process.argv.slice(2);
const { atomicWrite, atomicWriteSync } = await import(module);
const bytes = new Uint8Array(4096).fill(120);
const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW, O_RDONLY, O_DIRECTORY } = fs.constants;
const FLAGS = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
let name = 0;

/** The calls of a synchronous atomicWrite, and nothing else. */
function rawSync(dir) {
  const path = `${dir}/file`;
  const temp = `${dir}/.file.${String(name++).padStart(26, "a")}.cs1u`;
  fs.lstatSync(path, { bigint: true, throwIfNoEntry: false });
  const fd = fs.openSync(temp, FLAGS, 0o600);
  fs.fstatSync(fd, { bigint: true });
  fs.writeSync(fd, bytes);
  fs.fchmodSync(fd, 0o644);
  fs.fsyncSync(fd);
  const handle = fs.openSync(dir, O_RDONLY | O_DIRECTORY);
  fs.renameSync(temp, path);
  fs.closeSync(fd);
  fs.fsyncSync(handle);
  fs.closeSync(handle);
}

async function rawPromises(dir) {
  const path = `${dir}/file`;
  const temp = `${dir}/.file.${String(name++).padStart(26, "a")}.cs1u`;
  await fs.promises.lstat(path).catch(() => {});
  const file = await fs.promises.open(temp, FLAGS, 0o600);
  await file.stat();
  await file.write(bytes);
  await file.chmod(0o644);
  await file.sync();
  const handle = await fs.promises.open(dir, O_RDONLY | O_DIRECTORY);
  await fs.promises.rename(temp, path);
  await file.close();
  await handle.sync();
  await handle.close();
}

const CONTENDERS = {
  "raw node:fs, sync": rawSync,
  "atomicWriteSync": (dir) => atomicWriteSync(`${dir}/file`, bytes),
  "raw node:fs, promises": rawPromises,
  "atomicWrite": (dir) => atomicWrite(`${dir}/file`, bytes),
};

const times = {};
// Every contender in turn, each in its own fresh directory, after its code has become warm where a sync costs nothing.
for (const [contender, replace] of Object.entries(CONTENDERS)) {
  const warm = fs.mkdtempSync(
    fs.existsSync("/dev/shm") ? "/dev/shm/crashsafe-warm-" : join(directory, "warm-"),
  );
  fs.writeFileSync(`${warm}/file`, bytes);
  for (const end = performance.now() + 400; performance.now() < end;) await replace(warm);
  fs.rmSync(warm, { recursive: true });
  const dir = fs.mkdtempSync(join(directory, "job-"));
  fs.writeFileSync(`${dir}/file`, bytes);
  const begin = performance.now();
  for (let round = 0; round < Number(count); round++) await replace(dir);
  times[contender] = (performance.now() - begin) * 1000 / Number(count);
}
console.log(JSON.stringify(times));
process.exit(0);

// The calls of a durable replace through node:fs, and nothing else: what the runtime itself costs.

import fs from "node:fs";
import { basename, dirname } from "node:path";

const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW, O_RDONLY, O_DIRECTORY } = fs.constants;
const FLAGS = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
let names = 0;

export const rawNode = [
  { name: "raw node:fs, sync", form: "sync", replace: replaceSync },
  {
    name: "raw node:fs, promises",
    form: "async",
    replace: (path, bytes) => replace(path, [bytes]),
    stream: replace,
  },
];

function tempFor(path) {
  return `${dirname(path)}/.${basename(path)}.${String(names++).padStart(26, "a")}.cs1u`;
}

function replaceSync(path, bytes) {
  const temp = tempFor(path);
  fs.lstatSync(path, { bigint: true, throwIfNoEntry: false });
  const fd = fs.openSync(temp, FLAGS, 0o600);
  fs.fstatSync(fd, { bigint: true });
  fs.writeSync(fd, bytes);
  fs.fchmodSync(fd, 0o644);
  fs.fsyncSync(fd);
  const dir = fs.openSync(dirname(path), O_RDONLY | O_DIRECTORY);
  fs.renameSync(temp, path);
  fs.closeSync(fd);
  fs.fsyncSync(dir);
  fs.closeSync(dir);
}

async function replace(path, chunks) {
  const temp = tempFor(path);
  await fs.promises.lstat(path).catch(() => {});
  const file = await fs.promises.open(temp, FLAGS, 0o600);
  await file.stat();
  for (const chunk of chunks) await file.write(chunk);
  await file.chmod(0o644);
  await file.sync();
  const dir = await fs.promises.open(dirname(path), O_RDONLY | O_DIRECTORY);
  await fs.promises.rename(temp, path);
  await file.close();
  await dir.sync();
  await dir.close();
}

// `node bench/verify.mjs`: does the table in guarantees.mjs tell the truth? Every contender replaces a file on every runtime under
// strace, which shows the fsyncs and how the temporary file is opened, and once on a disk that gets full in the middle of the
// data. Ends with status 1 when anything differs. Owners need root; whether a name can be guessed is for readers of the source.

import {
  chmodSync,
  chownSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildNpm } from "../scripts/build_npm.mjs";
import { must, root, run } from "../scripts/lib.mjs";
import { allContenders } from "./contenders/all.mjs";
import { holds } from "./guarantees.mjs";
import { compileReplace } from "./lib/c_program.mjs";
import { openRuntimes, program } from "./lib/runtimes.mjs";

const DISK_BYTES = 8 * 2 ** 20;
/** Nobody's, and not the default. */
const MODE = 0o640;
const OWNER = 12345;
const asRoot = process.getuid() === 0;

await buildNpm();
const runtimes = await openRuntimes();
const node = runtimes.find(({ name }) => name === "Node");
const names = (await allContenders(node.module)).map(({ name }) => name);
const dir = mkdtempSync(join(tmpdir(), "crashsafe-verify-"));
process.on("exit", () => rmSync(dir, { recursive: true, force: true }));
if (!asRoot) console.log("not root: owners are not looked at");
let wrong = 0;
for (const { name: runtime, command, module } of runtimes) {
  for (const name of names) {
    const call = (
      path,
      bytes,
    ) => [...command, program("once.mjs"), module, name, path, String(bytes)];
    await check(runtime, name, { ...await trace(call), fullDisk: await isSafeOnFullDisk(call) });
  }
}
if (compileReplace() !== undefined) {
  for (const [name, how] of [["C", "full"], ["C, no directory fsync", "file"]]) {
    const call = (path) => [join(root, "build/bench/replace"), join(path, ".."), "1", how];
    await check("C", name, await trace(call));
  }
}
console.log(wrong === 0 ? "the table is right" : `${wrong} entries of the table are wrong`);
process.exit(wrong === 0 ? 0 : 1);

function check(runtime, name, seen) {
  const problems = [];
  for (const [guarantee, value] of Object.entries(seen)) {
    // An exclusive name may still be one that can be guessed; one that is not exclusive is a no.
    const expected = holds(name, guarantee, runtime);
    const right = guarantee === "temp" ? value || !expected : value === expected;
    if (!right) problems.push(`${guarantee} is ${value}, not ${expected}`);
  }
  wrong += problems.length;
  console.log(
    `${problems.length === 0 ? "ok" : "WRONG"} ${runtime}: ${name} ${problems.join("; ")}`,
  );
}

async function trace(call) {
  const place = mkdtempSync(join(dir, "place-"));
  const path = oldFile(place);
  const log = join(dir, "trace");
  const args = ["-f", "-y", "-qq", "-e", "trace=fsync,fdatasync,open,openat,creat", "-o", log];
  const output = await must("strace", [...args, ...call(path, 4096)]);
  if (output.startsWith("rejected")) throw new Error(`${call(path, 4096).join(" ")}: ${output}`);
  const lines = readFileSync(log, "utf8").split("\n").filter((line) => line.includes(place));
  const synced = lines.filter((line) => /\bf(data)?sync\(/.test(line))
    .map((line) => /sync\(\d+<([^>]*)>/.exec(line)[1]);
  const created = lines.filter((line) => /\bopen(at)?\(/.test(line) && line.includes("O_CREAT"));
  const { mode, uid } = statSync(path);
  return {
    fileFsync: synced.some((path) => path !== place),
    directoryFsync: synced.includes(place),
    temp: created.length > 0 && created.every((line) => line.includes("O_EXCL")),
    mode: (mode & 0o777) === MODE,
    ...(asRoot ? { owner: uid === OWNER } : {}),
  };
}

/** A small tmpfs that only this call sees: safe is an error with the old file in place. */
async function isSafeOnFullDisk(call) {
  const place = mkdtempSync(join(dir, "full-"));
  const script = `mount -t tmpfs -o size=${DISK_BYTES} none "$0" && printf old > "$0/file" || exit
"$@"
wc -c < "$0/file"`;
  const { stdout, output } = await run("unshare", [
    asRoot ? "-m" : "-rm",
    ...["sh", "-c", script, place],
    ...call(join(place, "file"), 2 * DISK_BYTES),
  ]);
  const [, ended, size] = /^(resolved|rejected).*\n(\d+)\n$/.exec(stdout) ?? [];
  if (ended === undefined) throw new Error(`on a full disk: ${output}`);
  if (Number(size) > DISK_BYTES) throw new Error("the disk did not get full");
  return ended === "rejected" && Number(size) === 3;
}

function oldFile(place) {
  const path = join(place, "file");
  writeFileSync(path, "old");
  if (asRoot) chownSync(path, OWNER, OWNER);
  chmodSync(path, MODE);
  return path;
}

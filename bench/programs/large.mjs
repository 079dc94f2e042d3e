// Large copies on one runtime: large.mjs MODULE KIND SOURCE TARGET prints { seconds, addedMiB }.
// The peak of resident memory is the kernel's (VmHWM), less what stood before.

import fs from "node:fs";
import process from "node:process";

const [module, kind, source, target, digest] = process.argv.slice(2);
const { AtomicFile, hashFile } = await import(module);
const file = new AtomicFile(target, { durability: "none" });

const KINDS = {
  "copyFrom, verified": () => file.withHash(digest).copyFrom(source),
  "copyFromSync, verified": () => file.withHash(digest).copyFromSync(source),
  "copyFrom": () => file.copyFrom(source),
  "stream": () => file.stream(chunks()),
  "draining": async () => {
    for await (const _ of chunks());
  },
};

async function* chunks() {
  yield* fs.createReadStream(source, { highWaterMark: 1 << 16 });
}

// Warm: hash-wasm is started and the code has run once.
const small = `${target}.small`;
fs.writeFileSync(small, new Uint8Array(3 << 20));
await new AtomicFile(`${small}.copy`, { durability: "none" }).withHash(await hashFile(small))
  .copyFrom(small);
new AtomicFile(`${small}.copy`, { durability: "none" }).copyFromSync(small);
await new AtomicFile(`${small}.copy`, { durability: "none" }).stream(fs.createReadStream(small));
for (const path of [small, `${small}.copy`]) fs.unlinkSync(path);
// Freeing the pages of an old gibibyte is not what is measured.
fs.rmSync(target, { force: true });
globalThis.Bun?.gc(true);
globalThis.gc?.();
fs.writeFileSync("/proc/self/clear_refs", "5");
const before = resident("VmHWM");
const begin = performance.now();
await KINDS[kind]();
const seconds = (performance.now() - begin) / 1000;
console.log(JSON.stringify({ seconds, addedMiB: (resident("VmHWM") - before) / 1024 }));
process.exit(0);

function resident(field) {
  return Number(
    new RegExp(`${field}:\\s+(\\d+)`).exec(fs.readFileSync("/proc/self/status", "utf8"))?.[1] ??
      NaN,
  );
}

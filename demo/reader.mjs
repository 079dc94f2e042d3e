// Reads TARGET again and again, whole, and compares it with the digests of the versions that there are.
// Ends with its standard input; prints { reads, torn, seen }.

import { createHash } from "node:crypto";
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import process from "node:process";

const [target, ...versions] = process.argv.slice(2);
const seen = new Set();
let reads = 0;
let torn = 0;
let running = true;
process.stdin.on("end", () => {
  running = false;
}).resume();
console.log("ready");
while (running) {
  const digest = digestOfTarget();
  reads++;
  if (versions.includes(digest)) seen.add(digest);
  else torn++;
  await new Promise((resolve) => setImmediate(resolve));
}
console.log(JSON.stringify({ reads, torn, seen: seen.size }));
process.exit(0);

/** In one piece, so that the reader is quicker than the writer it watches: ends, beginning and middle, and the size. */
function digestOfTarget() {
  const fd = openSync(target, "r");
  try {
    const { size } = fstatSync(fd);
    const hash = createHash("sha256").update(`${size}`);
    const piece = new Uint8Array(4096);
    for (let part = 0; part <= 64; part++) {
      const at = Math.max(0, Math.floor((size - piece.length) * part / 64));
      hash.update(piece.subarray(0, readSync(fd, piece, 0, piece.length, at)));
    }
    return hash.digest("hex");
  } finally {
    closeSync(fd);
  }
}

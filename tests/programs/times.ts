// Publishes with the times given in nanoseconds and prints what the receipt says, in a process that may touch
// one directory only.

import { AtomicFile } from "@crashsafe/fs";
import { argv } from "node:process";

const [dir = "", ...times] = argv.slice(2);
for (const [index, time] of times.entries()) {
  const file = new AtomicFile(`${dir}/${index}`).withMtime(BigInt(time));
  try {
    const { mtimeNs, mtimePrecision } = index % 2 === 0
      ? file.writeSync("x")
      : await file.write("x");
    console.log(`${mtimeNs} ${mtimePrecision}`);
  } catch (error) {
    console.log((error as { code: string }).code);
  }
}

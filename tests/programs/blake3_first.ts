// blake3 in a synchronous call, before and after its preparation.

import { AtomicFile, prepareHash, UnsupportedError } from "@crashsafe/fs";
import { readdirSync } from "node:fs";
import process from "node:process";

const dir = process.argv[2] ?? "";
const file = new AtomicFile(`${dir}/a`).withHash(
  "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
  "blake3",
);
let code = "";
try {
  file.writeSync("");
} catch (error) {
  if (error instanceof UnsupportedError) code = error.code;
}
const before = JSON.stringify(readdirSync(dir));
await prepareHash("blake3");
console.log(code, before, file.writeSync("").bytes === 0);

// Compresses a file. The .gz appears when it is complete, never before.
//
//   bun examples/compress.ts FILE
//   bun build --compile examples/compress.ts --outfile compress && ./compress FILE

import { AtomicFile } from "@crashsafe/fs";
import { openAsBlob } from "node:fs";
import process from "node:process";

const path = process.argv[2] ?? "";
const { writable, receipt } = new AtomicFile(`${path}.gz`).writable();
await (await openAsBlob(path)).stream()
  .pipeThrough(new CompressionStream("gzip"))
  .pipeTo(writable);
console.log((await receipt).path);

// Downloads a file and publishes it only if it is the one that was promised.
//
//   deno run --allow-net --allow-read --allow-write examples/verified_download.ts URL SHA256 TARGET
//   bun examples/verified_download.ts URL SHA256 TARGET

import { AtomicFile } from "@crashsafe/fs";
import process from "node:process";

const [url = "", sha256 = "", target = ""] = process.argv.slice(2);
try {
  const receipt = await new AtomicFile(target, { signal: AbortSignal.timeout(60_000) })
    .withHash(sha256, "sha256")
    .stream(await fetch(url));
  console.log(`${receipt.path}: ${receipt.bytes} bytes, verified`);
} catch (error) {
  // A connection that breaks, a bad status, a wrong byte: the old file is still there, whole.
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}

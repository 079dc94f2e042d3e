// Publishes SOURCE as TARGET, over and over until it is killed or told to stop.
// crashsafe: writer.mjs MODULE SOURCE TARGET DIGEST    plain: writer.mjs plain SOURCE TARGET

import { readFileSync, writeFileSync } from "node:fs";
import process from "node:process";

const [module, source, target, digest, rounds = "1"] = process.argv.slice(2);
for (let round = 0; round < Number(rounds); round++) {
  if (module === "plain") {
    writeFileSync(target, readFileSync(source));
  } else {
    const { AtomicFile } = await import(module);
    await new AtomicFile(target).withHash(digest).copyFrom(source);
  }
}

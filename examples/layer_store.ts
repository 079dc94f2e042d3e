// A store of directories: `layer_store ROOT add NAME TEXT | remove NAME`. A layer is there whole or not at all; what a killed
// run left is removed by the next one.

import { recoverStaleDirs, TempDir } from "@crashsafe/fs";
import { mkdirSync, writeFileSync } from "node:fs";
import process from "node:process";

const [root, what, name, text = ""] = process.argv.slice(2);
if (root === undefined || name === undefined) {
  throw new Error("usage: layer_store ROOT add NAME TEXT | remove NAME");
}
const layers = `${root}/layers`;
mkdirSync(layers, { recursive: true });
await recoverStaleDirs(`${root}/tmp`);

const temp = await TempDir.create(`${root}/tmp`);
try {
  if (what === "add") {
    const addition = temp.stageAddition();
    mkdirSync(addition.path);
    writeFileSync(`${addition.path}/content`, text);
    writeFileSync(`${addition.path}/size`, `${text.length}\n`);
    await addition.commit(`${layers}/${name}`, { durability: "full" });
  } else {
    await temp.stageDeletion(`${layers}/${name}`, { durability: "full" });
  }
} finally {
  await temp.cleanup();
}

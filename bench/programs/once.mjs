// One replace, to be looked at from outside: once.mjs MODULE CONTENDER PATH BYTES prints "resolved" or "rejected".

import process from "node:process";
import { allContenders } from "../contenders/all.mjs";

const [module, name, path, size] = process.argv.slice(2);
const contender = (await allContenders(module)).find((one) => one.name === name);
const bytes = new Uint8Array(Number(size)).fill(0x78);
try {
  if (contender.replaceAll) await contender.replaceAll([path], bytes);
  else await contender.replace(path, bytes);
  console.log("resolved");
} catch (error) {
  console.log(`rejected ${error.code ?? error.message}`);
}
process.exit(0);

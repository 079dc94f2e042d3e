// Every terminal, in a process that may touch one directory only.

import { AtomicFile } from "@crashsafe/fs";
import { argv } from "node:process";

const dir = argv[2] ?? "";
const file = new AtomicFile(`${dir}/deep/a`);
const receipts = [
  await file.write("x"),
  file.writeSync("x"),
  await file.copyFrom(`${dir}/deep/a`),
  file.copyFromSync(`${dir}/deep/a`),
  await file.concatFrom([`${dir}/deep/a`]),
  await file.writeWith((sink) => sink.write("x")),
  await file.stream(["x"]),
  await file.withMtime(1n).write("x"),
];
console.log(receipts.map((one) => one.durability).join(" "));

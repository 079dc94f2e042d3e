// Replaces files as another user, who is in one more group, and prints what was reached as JSON.

import { atomicWrite, atomicWriteSync } from "@crashsafe/fs";
import process from "node:process";

const [dir = "", uid = "", gid = "", group = ""] = process.argv.slice(2);
process.setgroups?.([Number(group)]);
process.setgid?.(Number(gid));
process.setuid?.(Number(uid));
const receipts = [
  atomicWriteSync(`${dir}/foreign`, "new"),
  await atomicWrite(`${dir}/shared`, "new"),
  atomicWriteSync(`${dir}/shared-setgid`, "new"),
  atomicWriteSync(`${dir}/explicit`, "new", { mode: 0o4711 }),
];
console.log(JSON.stringify(receipts.map(({ lost, mode, owner }) => ({ lost, mode, owner }))));

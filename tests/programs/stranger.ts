// Another user than root, who tries what can be tried with every temporary file of a shared directory. Prints JSON.

import { linkSync, openSync, readdirSync, renameSync, unlinkSync } from "node:fs";
import process from "node:process";
import { systemAdapter } from "@crashsafe/fs";

const [dir = ""] = process.argv.slice(2);
// Whatever is loaded late is loaded while it may be read.
systemAdapter();
process.setgroups?.([]);
process.setgid?.(65534);
process.setuid?.(65534);

const attempts: Record<string, (path: string) => unknown> = {
  read: (path) => openSync(path, "r"),
  write: (path) => openSync(path, "r+"),
  remove: (path) => unlinkSync(path),
  rename: (path) => renameSync(path, `${path}.stolen`),
  replace: (path) => renameSync(`${dir}/mine`, path),
  "link over": (path) => linkSync(`${dir}/mine`, path),
};

const answers: Record<string, string> = {};
for (const name of readdirSync(dir).filter((one) => /\.cs1[lu]$/.test(one))) {
  for (const [attempt, run] of Object.entries(attempts)) {
    try {
      run(`${dir}/${name}`);
      answers[attempt] = "succeeded";
    } catch (error) {
      answers[attempt] = (error as { code: string }).code;
    }
  }
}
console.log(JSON.stringify(answers));

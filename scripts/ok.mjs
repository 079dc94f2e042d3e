// `npm run ok`: everything that a contribution has to pass, and one line at the end. Nothing is skipped after a failure:
// who repairs one thing wants to know of the others.

import { spawn } from "node:child_process";
import { join } from "node:path";
import { root } from "./lib.mjs";

const PARTS = ["test", "matrix", "crash", "real"];
const failed = [];
for (const part of PARTS) {
  console.log(`\n== ${part}`);
  if (await status(join(root, "scripts", `${part}.mjs`)) !== 0) failed.push(part);
}
console.log(failed.length === 0 ? "\nok" : `\nnot ok: ${failed.join(", ")}`);
process.exitCode = failed.length === 0 ? 0 : 1;

/** Runs a script, which prints for itself. It ends with us: lib.mjs ends us at a signal. */
function status(script) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [script], { cwd: root, stdio: "inherit" });
    const stop = () => child.kill();
    process.once("exit", stop);
    child.on("error", reject);
    child.on("close", (code) => {
      process.off("exit", stop);
      resolve(code ?? 1);
    });
  });
}

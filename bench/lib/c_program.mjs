// The same system calls without a runtime around them.

import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { must, root } from "../../scripts/lib.mjs";
import { program } from "./runtimes.mjs";

/** Answers replace(directory, count, "full" | "file") -> microseconds, or undefined where there is no compiler. */
export function compileReplace() {
  const dir = join(root, "build", "bench");
  mkdirSync(dir, { recursive: true });
  const binary = join(dir, "replace");
  const { status } = spawnSync("cc", ["-O2", "-o", binary, program("replace.c")], {
    stdio: "ignore",
  });
  if (status !== 0) return undefined;
  return async (directory, count, durability) => {
    writeFileSync(join(directory, "file"), "old");
    return Number(await must(binary, [directory, String(count), durability]));
  };
}

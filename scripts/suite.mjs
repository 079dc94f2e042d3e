// The test suite on one runtime, with the runtime's own counts.

import { readdirSync } from "node:fs";
import { join } from "node:path";
import { run } from "./lib.mjs";

/** Deno, from source or in a project with the installed package. */
export async function denoSuite(deno, cwd, args) {
  const result = await run(deno, ["test", "-A", ...args], { cwd });
  const [, passed, failed, ignored] =
    /(?:ok|FAILED) \| (\d+) passed.*? \| (\d+) failed(?:.*? \| (\d+) ignored)?/.exec(
      result.output,
    ) ?? [];
  return counts(result, passed, failed, ignored);
}

/** Bun. */
export async function bunSuite(bun, cwd) {
  const result = await run(bun, ["test", "--timeout", "120000", "./tests"], { cwd });
  return counts(
    result,
    /^\s*(\d+) pass$/m.exec(result.output)?.[1],
    /^\s*(\d+) fail$/m.exec(result.output)?.[1],
    /^\s*(\d+) skip$/m.exec(result.output)?.[1],
  );
}

/** Node, over compiled files. */
export async function nodeSuite(node, cwd) {
  const files = testFiles(join(cwd, "tests"), /\.test\.js$/);
  const result = await run(node, ["--test", "--test-reporter=tap", ...files], { cwd });
  return counts(
    result,
    /^# pass (\d+)$/m.exec(result.output)?.[1],
    /^# fail (\d+)$/m.exec(result.output)?.[1],
    /^# skipped (\d+)$/m.exec(result.output)?.[1],
  );
}

function testFiles(dir, pattern) {
  return readdirSync(dir, { recursive: true })
    .filter((name) => pattern.test(name))
    .map((name) => join(dir, name))
    .sort();
}

function counts({ ok, output }, passed = "0", failed = "0", skipped = "0") {
  return { ok, output, passed: Number(passed), failed: Number(failed), skipped: Number(skipped) };
}

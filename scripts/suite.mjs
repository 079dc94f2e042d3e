// The test suite on one runtime, with the runtime's own counts.

import { readdirSync } from "node:fs";
import { join } from "node:path";
import { run } from "./lib.mjs";

/** Deno, from source or in a project with the installed package. */
export async function denoSuite(deno, cwd, args) {
  const result = await run(deno, ["test", "-A", ...args], { cwd });
  const summary = last(result.output, /^(?:ok|FAILED) \| .*$/gm)?.[0] ?? "";
  return counts(
    result,
    /(\d+) passed/.exec(summary)?.[1],
    /(\d+) failed/.exec(summary)?.[1],
    /(\d+) ignored/.exec(summary)?.[1],
  );
}

/** Bun. */
export async function bunSuite(bun, cwd) {
  const result = await run(bun, ["test", "--timeout", "120000", "./tests"], { cwd });
  return counts(
    result,
    last(result.output, /^\s*(\d+) pass$/gm)?.[1],
    last(result.output, /^\s*(\d+) fail$/gm)?.[1],
    last(result.output, /^\s*(\d+) skip$/gm)?.[1],
  );
}

/** Node, over the compiled files of a project or those given. */
export async function nodeSuite(
  node,
  cwd,
  files = testFiles(join(cwd, "tests"), /\.test\.js$/),
) {
  const result = await run(node, ["--test", "--test-reporter=tap", ...files], { cwd });
  return counts(
    result,
    last(result.output, /^# pass (\d+)$/gm)?.[1],
    last(result.output, /^# fail (\d+)$/gm)?.[1],
    last(result.output, /^# skipped (\d+)$/gm)?.[1],
  );
}

function testFiles(dir, pattern) {
  return readdirSync(dir, { recursive: true })
    .filter((name) => pattern.test(name))
    .map((name) => join(dir, name))
    .sort();
}

/** The summary comes last; a test may have printed a line that looks like one before. */
function last(text, pattern) {
  return [...text.matchAll(pattern)].at(-1);
}

function counts({ ok, output }, passed = "0", failed = "0", skipped = "0") {
  return { ok, output, passed: Number(passed), failed: Number(failed), skipped: Number(skipped) };
}

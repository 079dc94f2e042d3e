// Shared by the scripts: where things are, how commands run, how results are counted.
// Plain JavaScript, because Node 20 runs these and cannot run TypeScript.

import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("..", import.meta.url));

/** A command of node_modules. */
export function tool(name) {
  const path = join(root, "node_modules", ".bin", name);
  if (!existsSync(path)) throw new Error(`${name} is not installed: run \`npm ci\` first`);
  return path;
}

/** Runs a command to its end; answers its status and everything it printed. */
export function run(command, args, { cwd = root, env = {}, echo = false } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd,
      env: {
        ...process.env,
        NO_COLOR: "1",
        PATH: join(root, "node_modules", ".bin") + delimiter + process.env.PATH,
        ...env,
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8");
      stream.on("data", (text) => {
        output += text;
        if (echo) process.stdout.write(text);
      });
    }
    child.on("error", reject);
    child.on("close", (code, signal) => resolve({ ok: code === 0, code, signal, output }));
  });
}

/** Like run(), but a failure is an error that shows what was printed. */
export async function must(command, args, options) {
  const result = await run(command, args, options);
  if (result.ok) return result.output;
  throw new Error(
    `${command} ${args.join(" ")} ended with ${result.code ?? result.signal}\n${result.output}`,
  );
}

/** A directory of our own that is gone afterwards. */
export async function withTempDir(use) {
  const dir = mkdtempSync(join(tmpdir(), "crashsafe-check-"));
  try {
    return await use(dir);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Adds up runs, and prints each as it ends. */
export class Tally {
  passed = 0;
  failed = 0;
  skipped = 0;

  /** A check that passes or throws counts as one. */
  async check(name, body) {
    const started = performance.now();
    try {
      await body();
      this.passed++;
      this.#print("ok", name, started);
    } catch (error) {
      this.failed++;
      this.#print("FAILED", name, started);
      console.log(error instanceof Error ? error.message : String(error));
    }
  }

  /** A test runner brings its own counts; one that ran nothing has failed. */
  async suite(name, body) {
    const started = performance.now();
    try {
      const { passed, failed, skipped, ok, output } = await body();
      this.passed += passed;
      this.skipped += skipped;
      const bad = failed > 0 || !ok || passed === 0;
      this.failed += bad ? Math.max(1, failed) : 0;
      this.#print(
        bad ? "FAILED" : "ok",
        `${name}: ${passed} passed, ${failed} failed, ${skipped} skipped`,
        started,
      );
      for (const reason of skipReasons(output)) console.log(`    skipped: ${reason}`);
      if (bad) console.log(output);
    } catch (error) {
      this.failed++;
      this.#print("FAILED", name, started);
      console.log(error instanceof Error ? error.message : String(error));
    }
  }

  /** The closing line; ends the process. */
  close() {
    const skipped = this.skipped > 0 ? `, ${this.skipped} skipped` : "";
    console.log(`${this.passed} passed, ${this.failed} failed${skipped}`);
    process.exitCode = this.failed === 0 ? 0 : 1;
  }

  #print(verdict, name, started) {
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    console.log(`${verdict.padEnd(6)} ${name} (${seconds} s)`);
  }
}

/** `# SKIP reason` in TAP, and what our tests print on the other runners. */
function skipReasons(output) {
  const reasons = new Set();
  for (const [, reason] of output.matchAll(/(?:# SKIP|﹣ .*# )\s*(.+)/g)) {
    reasons.add(reason.trim());
  }
  for (const [, reason] of output.matchAll(/^skipped: (.+)$/gm)) reasons.add(reason.trim());
  return reasons;
}

// Shared by the scripts: where things are, how commands run, how results are counted.
// Plain JavaScript, because Node 20 runs these and cannot run TypeScript.

import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("..", import.meta.url));

// From source Deno needs deno.json alone: package.json would bring the tools of npm into deno.lock, and into its cache.
process.env.DENO_NO_PACKAGE_JSON = "1";

/** A command of node_modules. */
export function tool(name) {
  const path = join(root, "node_modules", ".bin", name);
  if (!existsSync(path)) throw new Error(`${name} is not installed: run \`npm ci\` first`);
  return path;
}

/** A command that has not ended by then hangs. The slowest takes seconds. */
const HANGS_AFTER_MS = 8 * 60_000;

/** Runs a command to its end; answers its status and everything it printed, `stdout` by itself too. */
export function run(command, args, { cwd = root, env = {} } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd,
      env: {
        ...process.env,
        NO_COLOR: "1",
        // Deno brings certificates of its own and would not see those that the system trusts.
        DENO_TLS_CA_STORE: process.env.DENO_TLS_CA_STORE ?? "mozilla,system",
        // A project of its own has its own package.json, and Deno finds the packages by it.
        DENO_NO_PACKAGE_JSON: cwd === root ? "1" : undefined,
        PATH: join(root, "node_modules", ".bin") + delimiter + process.env.PATH,
        ...env,
      },
      stdio: ["ignore", "pipe", "pipe"],
      // A process group of its own, so that what hangs goes with its children.
      detached: true,
    });
    let output = "";
    let stdout = "";
    child.stdout.setEncoding("utf8").on("data", (text) => {
      output += text;
      stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text) => output += text);
    const stop = () => killGroup(child.pid);
    const hangs = setTimeout(() => {
      output += `\nIt had not ended after ${HANGS_AFTER_MS / 1000} s and was killed.\n`;
      stop();
    }, HANGS_AFTER_MS);
    running.add(stop);
    const settle = () => {
      clearTimeout(hangs);
      running.delete(stop);
    };
    child.on("error", (error) => {
      settle();
      reject(error);
    });
    child.on("close", (code, signal) => {
      settle();
      resolve({ ok: code === 0, code, signal, output, stdout });
    });
  });
}

/** The groups of their own do not get a terminal's ^C: it is handed on. */
const running = new Set();
for (const [signal, status] of [["SIGINT", 130], ["SIGTERM", 143], ["SIGHUP", 129]]) {
  process.once(signal, () => {
    for (const stop of running) stop();
    process.exit(status);
  });
}

function killGroup(pid) {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // It has just ended by itself.
  }
}

/** Like run(), but a failure is an error that shows what was printed. Answers what went to standard output. */
export async function must(command, args, options) {
  const result = await run(command, args, options);
  if (result.ok) return result.stdout;
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

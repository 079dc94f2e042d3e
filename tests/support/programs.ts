import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { type Runtime, runtime } from "./runtime.ts";

/** How a child ended, and what it said. */
export interface Outcome {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** How a child is started. */
export interface ProgramOptions {
  readonly args?: readonly string[];
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string | Uint8Array;
  /** Another runtime than that of this test; found on the PATH. */
  readonly on?: Runtime;
  /** Instead of everything: the flags of a Deno or Node with permissions. */
  readonly permissions?: readonly string[];
}

/** A child that runs. */
export interface Running {
  readonly child: ChildProcess;
  readonly outcome: Promise<Outcome>;
}

/**
 * A file of the project: TypeScript in a clone, JavaScript where the tests run against the installed package. Node gets it from a project with the
 * installed package if CRASHSAFE_PACKED names one: not every Node runs TypeScript.
 */
export function projectFile(path: string, on: Runtime = runtime): string {
  const packed = on === "node" ? process.env["CRASHSAFE_PACKED"] : undefined;
  const at = (place: string): string =>
    packed === undefined
      ? fileURLToPath(new URL(`../../${place}`, import.meta.url))
      : `${packed}/${place}`;
  if (existsSync(at(`${path}.ts`))) return at(`${path}.ts`);
  return at(path.startsWith("cli/") ? `node_modules/@crashsafe/fs/dist/${path}.js` : `${path}.js`);
}

/** Starts a program of the project (`"tests/programs/x"`, no ending) on the runtime of this test. */
export function startProgram(path: string, options: ProgramOptions = {}): Running {
  const on = options.on ?? runtime;
  const file = projectFile(path, on);
  const installed = file.endsWith(".js");
  const flags = {
    deno: ["run", "--no-prompt", ...(installed ? ["--node-modules-dir=manual"] : []), "--no-check"],
    bun: ["run"],
    node: [],
  }[on];
  const permissions = options.permissions ?? (on === "deno" ? ["-A"] : []);
  const child = spawn(
    on === runtime ? process.execPath : on,
    [...flags, ...permissions, file, ...(options.args ?? [])],
    {
      cwd: options.cwd,
      env: { ...process.env, NO_COLOR: "1", ...options.env },
      stdio: ["pipe", "pipe", "pipe"],
    },
  );
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => stdout += text);
  child.stderr.setEncoding("utf8").on("data", (text: string) => stderr += text);
  // A child that has ended does not take its input; how it ended is what matters.
  child.stdin.on("error", () => {});
  if (options.stdin !== undefined) child.stdin.end(options.stdin);
  const outcome = new Promise<Outcome>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
  return { child, outcome };
}

/** The runtimes on which programs of the project can be started here. */
export function runtimesHere(): readonly Runtime[] {
  const typescript = projectFile("tests/support/programs").endsWith(".ts");
  return (["deno", "bun", "node"] as const).filter((name) => {
    if (name === runtime) return true;
    const { status, stdout } = spawnSync(name, ["--version"], { encoding: "utf8" });
    // Node runs TypeScript from 22.18 on.
    const [major = 0, minor = 0] = (/v(\d+)\.(\d+)/.exec(stdout)?.slice(1) ?? []).map(Number);
    const plain = name === "node" && typescript && (major < 22 || (major === 22 && minor < 18));
    return status === 0 && !plain;
  });
}

/** Runs a program of the project to its end. */
export async function runProgram(path: string, options: ProgramOptions = {}): Promise<Outcome> {
  return await startProgram(path, { stdin: "", ...options }).outcome;
}

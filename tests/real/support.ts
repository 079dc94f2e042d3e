/** What the tests on the real machine share. They run on Bun, started by `npm run test:real`; the programs that they torment run on every runtime. */

import { spawnSync } from "node:child_process";
import process from "node:process";
import type { Runtime } from "../support/runtime.ts";

/** Node has the packed package: scripts/real.mjs says where. */
export const RUNTIMES: readonly Runtime[] = ["deno", "bun", "node"];

/** A row of the table that `npm run test:real` prints at its end. */
export function report(row: Readonly<Record<string, string | number>>): void {
  console.log(`real ${JSON.stringify(row)}`);
}

/** Why a test cannot run here; undefined when it can. */
export function obstacle(...tools: readonly string[]): string | undefined {
  if (process.platform !== "linux") return "needs Linux";
  if (process.getuid?.() !== 0) return "needs root";
  const missing = tools.find((tool) =>
    spawnSync("sh", ["-c", `command -v ${tool}`], { stdio: "ignore" }).status !== 0
  );
  return missing === undefined ? undefined : `needs ${missing}`;
}

/** Waits for a line of a child's output. The child may end first. */
export function saying(
  { child, outcome }: {
    readonly child: { readonly stdout: NodeJS.ReadableStream | null };
    readonly outcome: Promise<unknown>;
  },
  word: string,
): Promise<boolean> {
  return new Promise((resolve) => {
    let said = "";
    child.stdout?.on("data", (text: string) => {
      said += text;
      if (said.includes(word)) resolve(true);
    });
    outcome.then(() => resolve(false));
  });
}

/** tests/programs/acknowledging.ts from outside: what it was promised, and whether the disk kept it. */

import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import process from "node:process";
import assert from "node:assert/strict";
import { type Outcome, startProgram } from "../support/programs.ts";
import type { Runtime } from "../support/runtime.ts";
import { version, versionOf } from "../support/versions.ts";

/** All ways of publishing, one with a durability, or fs.writeFile. */
export type Which = "all" | "none" | "file" | "full" | "plain";

/** A program that publishes and says so. */
export class Acknowledging {
  readonly on: Runtime;
  readonly dir: string;
  readonly outcome: Promise<Outcome>;
  /** The last promised version of each file. */
  readonly wrote = new Map<string, number>();
  /** How far the directories are. */
  added = 0;
  gone = 0;
  /** Promises, all together. */
  count = 0;
  /** Which ways failed, with what. */
  readonly failed: string[] = [];
  readonly #pid: number;
  readonly #which: Which;
  #ended = false;
  #listening = true;
  #rest = "";
  #heard: (() => void) | undefined;

  /** `dir` is on the file system that is to suffer, `inputs` is not. */
  constructor(on: Runtime, dir: string, inputs: string, which: Which) {
    this.on = on;
    this.dir = dir;
    this.#which = which;
    for (const one of [dir, inputs]) mkdirSync(one, { recursive: true });
    // What it stands in is nobody's promise.
    spawnSync("sync", ["--file-system", dir]);
    const { child, outcome } = startProgram("tests/programs/acknowledging", {
      on,
      args: [dir, inputs, which],
    });
    this.outcome = outcome;
    this.#pid = child.pid as number;
    child.stdout?.on("data", (text: string) => this.#hear(text));
    child.on("exit", () => this.#ended = true);
    outcome.then(() => this.#heard?.());
  }

  /** Waits until so many promises were made, or the program has ended. */
  async promised(count: number): Promise<void> {
    while (this.count < count && !this.#ended) {
      await new Promise<void>((resolve) => this.#heard = resolve);
    }
  }

  /** What is read from now on was not promised in time. */
  stopListening(): void {
    this.#listening = false;
  }

  /** Ends it with SIGKILL, if everything has not failed yet. */
  async kill(): Promise<void> {
    this.stopListening();
    if (!this.#ended) process.kill(this.#pid, "SIGKILL");
    const { code, signal, stderr } = await this.outcome;
    // Who does not look after errors has ended with one.
    assert.ok(signal === "SIGKILL" || code === 0 || this.#which === "plain", stderr);
  }

  #hear(text: string): void {
    if (!this.#listening) return;
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) {
      const [word = "", first = "", second] = line.split(" ");
      this.count++;
      if (word === "wrote") this.wrote.set(first, Number(second));
      else if (word === "added") this.added = Number(first);
      else if (word === "gone") this.gone = Number(first);
      else this.failed.push(line.slice("failed ".length));
    }
    this.#heard?.();
  }
}

/** Compares what is there with what was promised. */
export function look(program: Acknowledging): { files: number; violations: string[] } {
  const violations: string[] = [];
  let files = 0;
  for (const name of readdirSync(program.dir)) {
    if (/^\.|^added-|^root$|\.lock$/.test(name)) continue;
    files++;
    if (program.wrote.has(name)) continue;
    // Never promised, and whole all the same.
    const content = readFileSync(`${program.dir}/${name}`, "utf8");
    if (versionOf(name, content) === undefined) {
      violations.push(`${name} is torn: ${shown(content)}`);
    }
  }
  for (const [name, promised] of program.wrote) {
    const path = `${program.dir}/${name}`;
    const content = existsSync(path) ? readFileSync(path, "utf8") : undefined;
    const found = versionOf(name, content);
    if (found === undefined) violations.push(`${name} is torn: ${shown(content ?? "")}`);
    else if (found < promised) violations.push(`${name}: ${promised} was promised, it is ${found}`);
  }
  for (let n = 1; n <= program.added + 1; n++) {
    const path = `${program.dir}/added-${n}`;
    if (existsSync(path)) {
      files++;
      const file = `${path}/below/file`;
      const whole = existsSync(file) && readFileSync(file, "utf8") === version("below", n);
      if (!whole) violations.push(`added-${n} is not whole`);
      if (n <= program.gone) violations.push(`added-${n} is back`);
    } else if (n === program.added) violations.push(`added-${n} is gone`);
  }
  return { files, violations };
}

function shown(content: string): string {
  return `${content.length} characters, ${JSON.stringify(content.slice(0, 40))}`;
}

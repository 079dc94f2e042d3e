// A runtime that runs bench/programs/worker.mjs, asked one job after the other.

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { root } from "../../scripts/lib.mjs";
import { program } from "./runtimes.mjs";

/** A job that is under way must not write into directories that are being removed. */
const running = new Set();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/** It ends with its standard input too, so that it cannot outlive this process. */
export class Worker {
  #child;
  #lines;
  #name;
  #ended;

  constructor({ name, command: [binary, ...flags], module }) {
    this.#name = name;
    this.#child = spawn(binary, [...flags, program("worker.mjs"), module], {
      cwd: root,
      env: { ...process.env, NO_COLOR: "1", DENO_NO_PACKAGE_JSON: "1" },
      stdio: ["pipe", "pipe", "inherit"],
    });
    running.add(this.#child);
    this.#child.once("close", () => running.delete(this.#child));
    this.#ended = new Promise((resolve) => this.#child.once("close", resolve));
    // A write to one that has died fails here too; the missing answer tells it better.
    this.#child.stdin.on("error", () => {});
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  async ask(job) {
    this.#child.stdin.write(`${JSON.stringify(job)}\n`);
    const { value, done } = await this.#lines.next();
    if (done) throw new Error(`${this.#name} ended during ${JSON.stringify(job)}`);
    const answer = JSON.parse(value);
    if (answer.error) throw new Error(`${this.#name}: ${JSON.stringify(job)}\n${answer.error}`);
    return answer;
  }

  async close() {
    this.#child.stdin.end();
    await this.#ended;
  }
}

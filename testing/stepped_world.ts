/**
 * Several programs over one {@linkcode MemoryFs}, held before each operation until they are told to go on.
 *
 * An asynchronous operation is a step: it is called, the program stops, and when its turn comes the operation happens and the program
 * runs to its next one. A synchronous operation happens at once; so that nothing is glued together that other processes could
 * come between, a program that makes one right after a step is stopped before it, too: the place is learned in one run
 * (`splits`) and is a step of its own in all later ones.
 */

import type { FsAdapter, FsOps, SyncFsOps } from "../src/base/fs_adapter.ts";
import { isPromiseLike } from "../src/base/steps.ts";
import type { MemoryFs } from "./memory_fs.ts";
import { digest } from "./digest.ts";
import { describeCall, type MemoryProcess } from "./memory_process.ts";

/** What one program does: all its waiting is for operations of `fs`. */
export type ProcessBody = (fs: FsAdapter, note: (fact: string) => void) => unknown;

/** How far a program is. */
export interface ProcessState {
  /** What it has noted. */
  readonly facts: readonly string[];
  /** Whether it still runs. */
  readonly outcome: "running" | "resolved" | "rejected" | "killed";
  /** Why it rejected. */
  readonly error?: unknown;
}

/** A program under way. */
export interface Task {
  readonly name: string;
  /** Tasks of one process share its descriptors, locks and state, and die together. */
  readonly process: MemoryProcess;
  readonly facts: string[];
  outcome: ProcessState["outcome"];
  error: unknown;
  /** What it does next. */
  next: { readonly text: string; readonly go: () => void } | undefined;
  /** Everything it was ever answered: with the disk, all that its future depends on. */
  history: string;
  /** It sleeps, and the disk was like this when it lay down. */
  asleep: string | undefined;
}

/** Thrown into a program whose run is useless, since a step was found that must be split. */
class Split extends Error {}

export class SteppedWorld {
  readonly fs: MemoryFs;
  readonly tasks: readonly Task[];
  /** A synchronous operation came right after a step that was not known to be split: begin anew. */
  useless = false;
  readonly #splits: Set<string>;
  #moving: Task | undefined;

  constructor(
    fs: MemoryFs,
    processes: Readonly<Record<string, ProcessBody | readonly ProcessBody[]>>,
    splits: Set<string>,
  ) {
    this.fs = fs;
    this.#splits = splits;
    this.tasks = Object.entries(processes).flatMap(([name, bodies]) => {
      const process = fs.spawn();
      const several = typeof bodies === "function" ? [bodies] : bodies;
      return several.map((body, index) =>
        this.#task(several.length === 1 ? name : `${name}${index + 1}`, process, body)
      );
    });
  }

  /** Programs that can go on: they have a next step, and if they sleep, something has happened since. */
  get ready(): readonly Task[] {
    const waiting = this.tasks.filter((task) => task.next !== undefined);
    const disk = waiting.some((task) => task.asleep !== undefined)
      ? this.fs.fingerprint(false)
      : "";
    const awake = waiting.filter((task) => task.asleep === undefined || task.asleep !== disk);
    // When all sleep, time passes.
    return awake.length > 0 ? awake : waiting;
  }

  /** Lets a program do its next step and run to the one after. Answers the step in words. */
  async step(task: Task): Promise<string> {
    const { next } = task;
    if (next === undefined) return "";
    task.next = undefined;
    task.asleep = undefined;
    this.#moving = task;
    next.go();
    await this.#settle();
    this.#moving = undefined;
    return `${task.name}: ${next.text}`;
  }

  /** Runs every program to its first step. */
  async start(): Promise<void> {
    await this.#settle();
  }

  /** Kills a process with all its tasks. */
  kill(process: MemoryProcess): void {
    process.kill();
    for (const task of this.tasks) {
      if (task.process !== process || task.outcome !== "running") continue;
      task.outcome = "killed";
      task.next = undefined;
    }
  }

  /** All that the future depends on. */
  fingerprint(history: boolean): string {
    // What has ended remembers nothing.
    const tasks = this.tasks.map(({ history, outcome, facts, asleep, next }) =>
      `${outcome} ${facts.join()} ${asleep === undefined} ${
        outcome === "running" ? `${next?.text} ${history}` : ""
      }`
    );
    return `${this.fs.fingerprint(history)}\n${tasks.join("\n")}`;
  }

  #task(name: string, process: MemoryProcess, body: ProcessBody): Task {
    const task: Task = {
      name,
      process,
      facts: [],
      outcome: "running",
      error: undefined,
      next: undefined,
      history: name,
      asleep: undefined,
    };
    const run = async (): Promise<void> => {
      try {
        await body(this.#adapter(task), (fact) => void task.facts.push(fact));
        if (task.outcome === "running") task.outcome = "resolved";
      } catch (error) {
        if (task.outcome !== "running" || error instanceof Split) return;
        task.outcome = "rejected";
        task.error = error;
      }
    };
    task.next = { text: "starts", go: () => void run() };
    return task;
  }

  #adapter(task: Task): FsAdapter {
    const { process } = task;
    const stepped: Record<string, unknown> = {};
    const atOnce: Record<string, unknown> = {};
    for (const name of Object.keys(process.sync) as (keyof SyncFsOps)[]) {
      const call = process.sync[name] as (...args: readonly unknown[]) => unknown;
      stepped[name] = (...args: readonly unknown[]) => this.#stepped(task, name, args, call);
      atOnce[name] = (...args: readonly unknown[]) => {
        if (this.#moving === task && !this.#splits.has(task.history)) {
          this.#splits.add(task.history);
          this.useless = true;
        }
        if (this.useless) throw new Split();
        return this.#remember(task, describeCall(name, args), args, () => call(...args));
      };
    }
    return {
      name: process.name,
      sync: atOnce as unknown as SyncFsOps,
      async: stepped as unknown as FsOps,
      capabilities: process.capabilities,
      process: process.process,
      transientRenameErrors: process.transientRenameErrors,
      classify: (error) => process.classify(error),
    };
  }

  #stepped(
    task: Task,
    name: keyof FsOps,
    args: readonly unknown[],
    call: (...args: readonly unknown[]) => unknown,
  ): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (task.outcome !== "running" || this.useless) return;
      const text = describeCall(name, args);
      const go = (): void => {
        let end: () => void;
        try {
          const answer = this.#remember(task, text, args, () => call(...args));
          end = () => resolve(answer);
        } catch (error) {
          end = () => reject(error);
        }
        if (!this.#splits.has(task.history)) return end();
        task.next = { text: "goes on", go: end };
      };
      task.asleep = name === "sleep" ? this.fs.fingerprint(false) : undefined;
      task.next = { text, go };
    });
  }

  /** Does an operation and adds its answer to what the program knows. */
  #remember(
    task: Task,
    text: string,
    args: readonly unknown[],
    call: () => unknown,
  ): unknown {
    let told = "";
    try {
      const answer = call();
      if (isPromiseLike(answer)) throw new TypeError(`${text} answers a promise`);
      told = tell(answer);
      return answer;
    } catch (error) {
      told = String((error as { code?: unknown }).code);
      throw error;
    } finally {
      task.history = digest(`${task.history} ${text} ${told} ${bytesOf(args)}`);
    }
  }

  /** Waits until every program has come to its next step, to its end, or waits for another one. */
  async #settle(): Promise<void> {
    for (let turn = 0; turn < MICROTASKS; turn++) {
      const moving = this.tasks.some((task) =>
        task.outcome === "running" && task.next === undefined
      );
      if (!moving) return;
      await null;
    }
  }
}

/** More turns of the queue of microtasks than any chain of promises between two operations takes. */
const MICROTASKS = 100;

/** An answer as text. Handles are told by the call that opened them. */
function tell(answer: unknown): string {
  if (typeof answer !== "object" || answer === null) return String(answer);
  if ("inode" in answer) return "handle";
  return JSON.stringify(
    answer,
    (_, value) => typeof value === "bigint" ? String(value) : value as unknown,
  );
}

/** What a read has filled or a write has given. */
function bytesOf(args: readonly unknown[]): string {
  const bytes = args.find((arg) => arg instanceof Uint8Array);
  return bytes === undefined ? "" : bytes.slice(0, 10_000).join();
}

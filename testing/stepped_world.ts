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

/**
 * What one program does: all its waiting is for operations of `fs`, of which it may have several under way.
 *
 * @example A program
 * ```ts
 * import { atomicWriteSync } from "@crashsafe/fs";
 * import { type ProcessBody } from "@crashsafe/fs/testing";
 *
 * const body: ProcessBody = (adapter) => atomicWriteSync("/file", "x", { adapter });
 * console.log(typeof body);
 * ```
 */
export type ProcessBody = (fs: FsAdapter, note: (fact: string) => void) => unknown;

/**
 * How far a program is.
 *
 * @example How far it is
 * ```ts
 * import { type ProcessState } from "@crashsafe/fs/testing";
 *
 * const isDone = (state: ProcessState): boolean => state.outcome === "resolved";
 * console.log(typeof isDone);
 * ```
 */
export interface ProcessState {
  /** What it has noted. */
  readonly facts: readonly string[];
  /** Whether it still runs. */
  readonly outcome: "running" | "resolved" | "rejected" | "killed";
  /** Why it rejected. */
  readonly error?: unknown;
}

/** An operation that a program has called and that has not happened yet. */
export interface Pending {
  readonly text: string;
  readonly go: () => void;
  /** A sleep: how the disk was when it began. */
  readonly asleep: string | undefined;
}

/** A program under way. */
export interface Task {
  readonly name: string;
  /** Tasks of one process share its descriptors, locks and state, and die together. */
  readonly process: MemoryProcess;
  readonly facts: string[];
  outcome: ProcessState["outcome"];
  error: unknown;
  readonly pending: Pending[];
  /** Everything it was ever answered: with the disk, all that its future depends on. */
  history: string;
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
  /** Which of its operations has just happened. */
  #index = 0;
  /** What it came to, if not to success. */
  #outcome = "";

  constructor(
    fs: MemoryFs,
    processes: Readonly<Record<string, ProcessBody | readonly ProcessBody[]>>,
    splits: Set<string>,
  ) {
    this.fs = fs;
    this.#splits = splits;
    this.tasks = Object.entries(processes).flatMap(([name, bodies]) => {
      const process = fs.spawn();
      if (typeof bodies === "function") return [this.#task(name, process, bodies)];
      return bodies.map((body, index) => this.#task(`${name}${index + 1}`, process, body));
    });
  }

  /** Operations that can happen next; programs of one process begin in their order. Who sleeps wakes when something has changed. */
  get ready(): readonly { readonly task: Task; readonly index: number }[] {
    const all = this.tasks.flatMap((task, place) => {
      const before = this.tasks[place - 1];
      const early = task.pending[0]?.text === STARTS && before?.process === task.process &&
        before.pending[0]?.text === STARTS;
      return early ? [] : task.pending.map((_, index) => ({ task, index }));
    });
    let disk: string | undefined;
    const awake = all.filter(({ task, index }) => {
      const { asleep } = task.pending[index] as Pending;
      return asleep === undefined || asleep !== (disk ??= this.fs.fingerprint(false));
    });
    // When all sleep, time passes.
    return awake.length > 0 ? awake : all;
  }

  /** Lets one operation happen and its program run on. Answers the step in words. */
  async step(task: Task, index: number): Promise<string> {
    const [next] = task.pending.splice(index, 1);
    if (next === undefined) throw new TypeError("The replay does not fit this scenario");
    this.#moving = task;
    this.#index = index;
    this.#outcome = "";
    next.go();
    await this.#settle(task);
    this.#moving = undefined;
    return `${task.name}: ${next.text}${this.#outcome}`;
  }

  /** Kills a process. */
  kill(process: MemoryProcess): void {
    process.kill();
    for (const task of this.tasks) {
      if (task.process !== process || task.outcome !== "running") continue;
      task.outcome = "killed";
      task.pending.length = 0;
    }
  }

  /** All that the future depends on. */
  fingerprint(history: boolean): string {
    // What has ended remembers nothing.
    const tasks = this.tasks.map(({ history, outcome, facts, pending }) => {
      const next = pending.map(({ text, asleep }) => `${text} ${asleep === undefined}`);
      return `${outcome} ${facts.join()} ${next.join()} ${outcome === "running" ? history : ""}`;
    });
    const shared = this.tasks.map(({ process }) => tell(process.process.realm));
    return [this.fs.fingerprint(history), ...tasks, ...shared].join("\n");
  }

  #task(name: string, process: MemoryProcess, body: ProcessBody): Task {
    const task: Task = {
      name,
      process,
      facts: [],
      outcome: "running",
      error: undefined,
      pending: [],
      history: name,
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
    task.pending.push({ text: STARTS, go: () => void run(), asleep: undefined });
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
        task.pending.splice(this.#index, 0, { text: "goes on", go: end, asleep: undefined });
      };
      const asleep = name === "sleep" ? this.fs.fingerprint(false) : undefined;
      task.pending.push({ text, go, asleep });
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
      if (answer === false) this.#outcome = ": false";
      return answer;
    } catch (error) {
      told = String((error as { code?: unknown }).code);
      this.#outcome = `: ${told}`;
      throw error;
    } finally {
      task.history = digest(`${task.history} ${text} ${told} ${bytesOf(args)}`);
    }
  }

  /** Waits until the program has come to its next operation, to its end, or waits for another one of its own. */
  async #settle(task: Task): Promise<void> {
    for (let turn = 0; turn < MICROTASKS; turn++) {
      if (turn >= AT_LEAST && (task.outcome !== "running" || task.pending.length > 0)) return;
      await null;
    }
  }
}

/** What every program does first. */
export const STARTS = "starts";

/** Turns of the queue of microtasks: more than any chain of promises between two operations takes. */
const AT_LEAST = 40;
const MICROTASKS = 200;

/** An answer, or the state that a process shares, as text. Handles are told by the call that opened them. */
function tell(answer: unknown): string {
  if (typeof answer !== "object" || answer === null) return String(answer);
  if ("inode" in answer) return "handle";
  return JSON.stringify(
    answer,
    (_, value: unknown) => {
      if (typeof value === "bigint") return String(value);
      return value instanceof Map ? [...value] : value;
    },
  );
}

/** What a read has filled or a write has given. */
function bytesOf(args: readonly unknown[]): string {
  const bytes = args.find((arg) => arg instanceof Uint8Array);
  return bytes === undefined ? "" : bytes.slice(0, 10_000).join();
}

/** Every interleaving of several programs, with kills, and with power cuts if asked. */

import type { FsAdapter } from "../src/base/fs_adapter.ts";
import type { CrashImage } from "./crash_image.ts";
import { type CrashKind, CrashPoints } from "./crash_points.ts";
import type { CrashProfile } from "./images.ts";
import type { HeldLock } from "./lock_table.ts";
import { MemoryFs, type MemoryFsOptions } from "./memory_fs.ts";
import { digest } from "./digest.ts";
import { type ProcessBody, type ProcessState, STARTS, SteppedWorld } from "./stepped_world.ts";
import { MOST, numbered, type Violation, Violations } from "./violations.ts";

/**
 * A state that some schedule leads to.
 *
 * @example What must always hold
 * ```ts
 * import { type ScheduleState } from "@crashsafe/fs/testing";
 *
 * const check = ({ locks }: ScheduleState): string | undefined =>
 *   locks.length > 1 ? "two holders" : undefined;
 * console.log(typeof check);
 * ```
 */
export interface ScheduleState extends Omit<CrashKind, "kind"> {
  /** `"step"`: all goes on. `"end"`: every program has ended. Else a crash of all of them. */
  readonly kind: CrashKind["kind"] | "step" | "end";
  /** The disk. */
  readonly tree: CrashImage;
  /** The programs by name; of several in one process the first is `name1`. */
  readonly processes: Readonly<Record<string, ProcessState>>;
  /** The locks held. */
  readonly locks: readonly HeldLock[];
}

/**
 * Programs that run at the same time, and what must hold of them.
 *
 * @example Two writers
 * ```ts
 * import { atomicWriteSync } from "@crashsafe/fs";
 * import { schedules, type ScheduleScenario } from "@crashsafe/fs/testing";
 *
 * const scenario: ScheduleScenario = {
 *   processes: {
 *     one: (adapter) => atomicWriteSync("/file", "1", { adapter }),
 *     two: (adapter) => atomicWriteSync("/file", "2", { adapter }),
 *   },
 *   check: ({ tree }) => [undefined, "1", "2"].includes(tree.get("/file")?.content) ? undefined : "torn",
 * };
 * console.log((await schedules(scenario)).violations.length); // 0
 * ```
 */
export interface ScheduleScenario {
  /** Fills the disk before. */
  readonly setup?: (fs: MemoryFs) => void;
  /** The programs by name. An array: several in one process, which begin in this order, share its state and die together. */
  readonly processes: Readonly<Record<string, ProcessBody | readonly ProcessBody[]>>;
  /** Says what is broken, or nothing. Called for every state. */
  readonly check: (state: ScheduleState) => string | undefined;
  /** How many processes may be killed in one schedule. @default 1 */
  readonly kills?: number;
  /** Cut the power in every state, with these profiles. @default none */
  readonly powerCuts?: readonly CrashProfile[];
  /** What runs after a power cut. */
  readonly recover?: (fs: FsAdapter) => unknown;
}

/**
 * Bounds, and the way back to one violation.
 *
 * @example A bound
 * ```ts
 * import { type ScheduleOptions } from "@crashsafe/fs/testing";
 *
 * const options: ScheduleOptions = { maxSteps: 100 };
 * console.log(options.maxSteps);
 * ```
 */
export interface ScheduleOptions {
  /** Only the schedule with this name, from the end of a story. */
  readonly replay?: string;
  /** States to visit; the report tells when there were more. @default 1000000 */
  readonly maxStates?: number;
  /** Steps of one schedule; the report tells when one was longer. @default 300 */
  readonly maxSteps?: number;
  /** Kinds of violation to find before the search ends. @default 20 */
  readonly maxViolations?: number;
  /** Trees to look at for one power cut in one profile. @default 2000 */
  readonly maxImages?: number;
  /** How the file system behaves where real ones differ. */
  readonly memory?: MemoryFsOptions;
}

/**
 * What was looked at, and what was found.
 *
 * @example In how many orders
 * ```ts
 * import { type ScheduleReport, schedules } from "@crashsafe/fs/testing";
 *
 * const report: ScheduleReport = await schedules({ processes: { one: () => {} }, check: () => undefined });
 * console.log(report.violations.length); // 0
 * ```
 */
export interface ScheduleReport {
  /** Distinct states visited. */
  readonly states: number;
  /** Schedules run, each to its end or to a state known already. */
  readonly schedules: number;
  /** Schedules that were run to their end. */
  readonly ends: number;
  /** Steps of the longest. */
  readonly longest: number;
  /** Trees of power cuts checked. */
  readonly images: number;
  /** Recoveries run. */
  readonly recoveries: number;
  /** Whether nothing was left out for a bound. */
  readonly complete: boolean;
  /** The first violation of each kind. */
  readonly violations: readonly Violation[];
}

/**
 * Runs programs in every order of their operations.
 *
 * Schedules that lead to the same disk, the same locks and the same answers so far to every program are followed once.
 * A program that sleeps goes on when something has changed, or when all others sleep, too.
 *
 * @param scenario The programs and their promises. They must do the same in every run with the same answers.
 * @param options Bounds, or one schedule to replay.
 * @returns How much was looked at, and every kind of violation with its story.
 *
 * @example Two programs that look before they write
 * ```ts
 * import { schedules } from "@crashsafe/fs/testing";
 * import type { FsAdapter } from "@crashsafe/fs";
 *
 * async function claim(fs: FsAdapter, note: (fact: string) => void): Promise<void> {
 *   if (await fs.async.stat("/claim") !== undefined) return;
 *   await fs.async.close(await fs.async.open("/claim", { access: "write", create: "if-missing" }));
 *   note("mine");
 * }
 * const report = await schedules({
 *   processes: { a: claim, b: claim },
 *   check: ({ processes: { a, b } }) =>
 *     a?.facts.includes("mine") && b?.facts.includes("mine") ? "both have it" : undefined,
 * });
 * console.log(report.violations[0]?.story);
 * ```
 */
export async function schedules(
  scenario: ScheduleScenario,
  options: ScheduleOptions = {},
): Promise<ScheduleReport> {
  return await new Search(scenario, options).run();
}

/** A step in a schedule: an operation of a task happens, or its process is killed. */
interface Move {
  readonly task: number;
  readonly what: number | "kill";
}

class Search {
  readonly #scenario: ScheduleScenario;
  readonly #options: Required<Omit<ScheduleOptions, "replay">>;
  readonly #replay: string | undefined;
  readonly #visited = new Set<string>();
  readonly #splits = new Set<string>();
  readonly #violations = new Violations();
  readonly #points: CrashPoints;
  #schedules = 0;
  #ends = 0;
  #longest = 0;
  #complete = true;

  constructor(scenario: ScheduleScenario, options: ScheduleOptions) {
    this.#scenario = scenario;
    const { replay, maxStates = 1_000_000, maxSteps = 300, maxImages = 2_000, memory = {} } =
      options;
    const { maxViolations = MOST } = options;
    this.#replay = replay;
    this.#options = { maxStates, maxSteps, maxImages, maxViolations, memory };
    this.#points = new CrashPoints({
      recover: scenario.recover,
      profiles: scenario.powerCuts ?? [],
      maxImages,
      depth: 1,
      memory,
      replay,
      call: "schedules",
    }, this.#violations);
  }

  async run(): Promise<ScheduleReport> {
    if (this.#replay === undefined) await this.#search();
    else await this.#follow(parseMoves(this.#replay));
    return {
      states: this.#visited.size,
      schedules: this.#schedules,
      ends: this.#ends,
      longest: this.#longest,
      images: this.#points.counts.images,
      recoveries: this.#points.counts.recoveries,
      complete: this.#complete && this.#points.counts.truncated === 0,
      violations: this.#violations.found,
    };
  }

  /** Depth first. Each branch begins with a replay of the moves that lead to it. */
  async #search(): Promise<void> {
    const branches: (readonly Move[])[] = [[]];
    for (let moves = branches.pop(); moves !== undefined; moves = branches.pop()) {
      if (this.#visited.size >= this.#options.maxStates) {
        this.#complete = false;
        return;
      }
      if (this.#violations.found.length >= this.#options.maxViolations) {
        this.#complete = false;
        return;
      }
      this.#schedules++;
      const path = [...moves];
      const run = await this.#replayed(moves);
      // What was learned about a split changes the steps: again, with one step more.
      if (run === undefined) {
        branches.push(moves);
        continue;
      }
      while (this.#arrive(run, path)) {
        const choices = this.#moves(run, path);
        const [first, ...others] = choices;
        if (first === undefined) break;
        for (const other of others.reverse()) branches.push([...path, other]);
        path.push(first);
        await this.#move(run, first);
        if (run.world.useless) {
          branches.push([...path]);
          break;
        }
      }
      await this.#points.recoverAll();
    }
  }

  async #follow(moves: readonly Move[]): Promise<void> {
    for (let attempt = 0; attempt < 1000; attempt++) {
      const run = await this.#replayed(moves);
      if (run === undefined) continue;
      this.#schedules++;
      this.#arrive(run, moves);
      await this.#points.recoverAll();
      return;
    }
  }

  async #replayed(moves: readonly Move[]): Promise<Run | undefined> {
    const fs = new MemoryFs(this.#options.memory);
    this.#scenario.setup?.(fs);
    fs.settle();
    const run: Run = {
      world: new SteppedWorld(fs, this.#scenario.processes, this.#splits),
      story: [],
    };
    for (const move of moves) {
      await this.#move(run, move);
      if (run.world.useless) return undefined;
    }
    return run;
  }

  async #move({ world, story }: Run, move: Move): Promise<void> {
    const task = world.tasks[move.task];
    if (task === undefined) throw new TypeError("The replay does not fit this scenario");
    if (move.what === "kill") {
      world.kill(task.process);
      story.push(`the process of ${task.name}: killed`);
      return;
    }
    story.push(await world.step(task, move.what));
    if (task.outcome === "rejected") story.push(`${task.name} rejects: ${String(task.error)}`);
  }

  /** Checks a state. Answers false when it was known already, or too far away. */
  #arrive(run: Run, path: readonly Move[]): boolean {
    const { world, story } = run;
    const history = this.#scenario.powerCuts !== undefined;
    const key = digest(world.fingerprint(history) + killsLeft(this.#scenario, path));
    if (this.#visited.has(key)) return false;
    this.#visited.add(key);
    this.#longest = Math.max(this.#longest, path.length);
    const ended = world.tasks.every(({ pending }) => pending.length === 0);
    const stuck = ended && world.tasks.find(({ outcome }) => outcome === "running");
    if (ended) this.#ends++;
    const processes: Record<string, ProcessState> = {};
    for (const { name, facts, outcome, error } of world.tasks) {
      processes[name] = { facts: [...facts], outcome, error };
    }
    const { locks } = world.fs;
    const steps = [...story];
    const told = (): readonly string[] => numbered(steps);
    const state = { processes, locks, recovered: false };
    const broken = stuck
      ? `${stuck.name} waits for something that never comes`
      : this.#scenario.check({
        ...state,
        kind: ended ? "end" : "step",
        tree: world.fs.now(),
      });
    const id = formatMoves(path);
    if (broken !== undefined && (this.#replay ?? id) === id) {
      this.#violations.add(broken, id, "schedules", told);
    }
    if (history || this.#scenario.recover !== undefined) {
      this.#points.crash(world.fs, {
        id,
        key: JSON.stringify(
          processes,
          (_, value) => value instanceof Error ? String(value) : value,
        ),
        story: told,
        check: (tree, how) => this.#scenario.check({ ...state, ...how, tree }),
      });
    }
    if (path.length < this.#options.maxSteps) return true;
    if (!ended) this.#complete = false;
    return false;
  }

  #moves({ world }: Run, path: readonly Move[]): readonly Move[] {
    const moves: Move[] = world.ready.map(({ task, index }) => ({
      task: world.tasks.indexOf(task),
      what: index,
    }));
    if (killsLeft(this.#scenario, path) === 0) return moves;
    const seen = new Set<unknown>();
    for (const [index, { pending, outcome, process }] of world.tasks.entries()) {
      // Killed before it did anything: a schedule without it.
      if (outcome !== "running" || pending[0]?.text === STARTS || seen.has(process)) continue;
      seen.add(process);
      moves.push({ task: index, what: "kill" });
    }
    return moves;
  }
}

interface Run {
  readonly world: SteppedWorld;
  readonly story: string[];
}

function killsLeft({ kills = 1 }: ScheduleScenario, path: readonly Move[]): number {
  return kills - path.filter(({ what }) => what === "kill").length;
}

/** Tasks by number, then which of several operations; x for a kill: `0 0 1.1 0x 1`. */
function formatMoves(moves: readonly Move[]): string {
  return moves.map(({ task, what }) =>
    what === "kill" ? `${task}x` : what === 0 ? String(task) : `${task}.${what}`
  ).join(" ");
}

/** The crash at the end of a replay is found again by its own name. */
function parseMoves(replay: string): readonly Move[] {
  const [moves = ""] = replay.split(/ (?=[a-z])/);
  return moves.split(" ").filter((word) => word !== "").map((word) => {
    const parts = /^(\d+)(x|\.(\d+))?$/.exec(word);
    if (parts === null) throw new SyntaxError(`Not a step of a replay: ${word}`);
    return { task: Number(parts[1]), what: parts[2] === "x" ? "kill" : Number(parts[3] ?? 0) };
  });
}

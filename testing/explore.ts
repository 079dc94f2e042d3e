/**
 * Every crash and every fault of one program: it runs once in memory, and after each of its operations stands every tree
 * that a kill or a power cut may leave; then it runs again with each operation failing in each way it can.
 */

import type { FsAdapter } from "../src/base/fs_adapter.ts";
import type { CrashImage } from "./crash_image.ts";
import { type CrashKind, CrashPoints } from "./crash_points.ts";
import { FaultFs } from "./fault_fs.ts";
import { type FaultRule, formatFaults } from "./fault_rules.ts";
import { type CrashProfile, GATE_PROFILES } from "./images.ts";
import { MemoryFs, type MemoryFsOptions } from "./memory_fs.ts";
import { POSSIBLE_ERRNOS } from "./possible_errnos.ts";
import { numbered, type Violation, Violations } from "./violations.ts";

/**
 * A moment at which a promise must hold.
 *
 * @example Old or new
 * ```ts
 * import { type Crash } from "@crashsafe/fs/testing";
 *
 * const check = ({ tree }: Crash): string | undefined =>
 *   ["old", "new"].includes(tree.get("/file")?.content ?? "") ? undefined : "torn";
 * console.log(typeof check);
 * ```
 */
export interface Crash extends Omit<CrashKind, "kind"> {
  /** `"end"`: no crash; the run came to its end, perhaps with a fault on its way. */
  readonly kind: CrashKind["kind"] | "end";
  /** The disk. */
  readonly tree: CrashImage;
  /** What the run had noted. */
  readonly facts: readonly string[];
  /** How far the run had come. */
  readonly outcome: "running" | "resolved" | "rejected";
  /** Why it rejected. */
  readonly error?: unknown;
}

/**
 * A program, and what must hold of it.
 *
 * @example A write, and what must hold
 * ```ts
 * import { atomicWriteSync } from "@crashsafe/fs";
 * import { type CrashScenario, explore } from "@crashsafe/fs/testing";
 *
 * const scenario: CrashScenario = {
 *   run: (fs) => void atomicWriteSync("/file", "new", { adapter: fs }),
 *   check: ({ tree }) => [undefined, "new"].includes(tree.get("/file")?.content) ? undefined : "torn",
 * };
 * console.log((await explore(scenario)).violations.length); // 0
 * ```
 */
export interface CrashScenario {
  /** Fills the disk before; all of it is durable when the run starts. */
  readonly setup?: (fs: MemoryFs) => void;
  /** The program: it does all its work through `fs`, and may note what it has promised so far. */
  readonly run: (fs: FsAdapter, note: (fact: string) => void) => unknown;
  /** What runs at the next start, on the tree that a crash left. */
  readonly recover?: (fs: FsAdapter) => unknown;
  /** Says what is broken, or nothing. Called for every tree, before and after the recovery. */
  readonly check: (crash: Crash) => string | undefined;
  /** What the disk may do. @default the gate: posix, ordered, auto-da-alloc, writeback */
  readonly profiles?: readonly CrashProfile[];
  /** Whether operations fail, too. @default true */
  readonly faults?: boolean;
  /** Whether the run ends with descriptors open on purpose. @default false */
  readonly keepsHandles?: boolean;
}

/**
 * Bounds, and the way back to one violation.
 *
 * @example Fewer trees
 * ```ts
 * import { type ExploreOptions } from "@crashsafe/fs/testing";
 *
 * const options: ExploreOptions = { maxImages: 100, memory: { pageBytes: 16 } };
 * console.log(options.maxImages);
 * ```
 */
export interface ExploreOptions {
  /** Only the crash with this name, from the end of a story. */
  readonly replay?: string;
  /** Trees to look at for one power cut in one profile. @default 20000 */
  readonly maxImages?: number;
  /** Crashes one inside the other: 2 cuts the power in the recovery, too. @default 2 */
  readonly depth?: number;
  /** How the file system behaves where real ones differ. */
  readonly memory?: MemoryFsOptions;
}

/**
 * What was looked at, and what was found.
 *
 * @example How much was looked at
 * ```ts
 * import { explore, type ExploreReport } from "@crashsafe/fs/testing";
 *
 * const report: ExploreReport = await explore({ run: () => {}, check: () => undefined });
 * console.log(report.violations.length); // 0
 * ```
 */
export interface ExploreReport {
  /** Operations of the run without faults. */
  readonly operations: number;
  /** Moments at which the process was killed. */
  readonly kills: number;
  /** Moments at which the power was cut, times profiles. */
  readonly powerCuts: number;
  /** Distinct trees checked. */
  readonly images: number;
  /** Recoveries run. */
  readonly recoveries: number;
  /** Runs with a fault. */
  readonly faults: number;
  /** Power cuts with more trees than `maxImages`, whose rest was left out. */
  readonly truncated: number;
  /** The first violation of each kind. */
  readonly violations: readonly Violation[];
}

/**
 * Crashes a program everywhere.
 *
 * @param scenario The program and its promises. It must do the same in every run.
 * @param options Bounds, or one crash to replay.
 * @returns How much was looked at, and every kind of violation with its story.
 * @throws What the program throws when nothing fails.
 *
 * @example Find what a careless save can lose
 * ```ts
 * import { explore } from "@crashsafe/fs/testing";
 *
 * const report = await explore({
 *   setup(fs) {
 *     fs.sync.close(fs.sync.open("/state", { access: "write", create: "exclusive" }));
 *   },
 *   run(fs) {
 *     const file = fs.sync.open("/new", { access: "write", create: "exclusive" });
 *     fs.sync.write(file, new TextEncoder().encode("{}"));
 *     fs.sync.close(file);
 *     fs.sync.rename("/new", "/state");
 *   },
 *   check: ({ tree, outcome }) =>
 *     outcome === "resolved" && tree.get("/state")?.content !== "{}" ? "the state is lost" : undefined,
 *   faults: false,
 * });
 * console.log(report.violations[0]?.story);
 * ```
 */
export async function explore(
  scenario: CrashScenario,
  options: ExploreOptions = {},
): Promise<ExploreReport> {
  const violations = new Violations();
  const points = new CrashPoints({
    recover: scenario.recover,
    profiles: scenario.profiles ?? GATE_PROFILES,
    maxImages: options.maxImages ?? 20_000,
    depth: options.depth ?? 2,
    memory: options.memory ?? {},
    replay: options.replay,
    call: "explore",
  }, violations);
  const trial = (rules: readonly FaultRule[]): Promise<Trial> =>
    attempt(scenario, options, rules, points, violations);
  const clean = await trial([]);
  if ("error" in clean) throw clean.error;
  let faults = 0;
  for (const rules of scenario.faults === false ? [] : faultsOf(clean.faulty)) {
    faults++;
    await trial(rules);
  }
  await points.recoverAll();
  return {
    operations: clean.faulty.log.length,
    ...points.counts,
    faults,
    violations: violations.found,
  };
}

interface Trial {
  readonly faulty: FaultFs;
  readonly error?: unknown;
}

/** Runs the program once, with crashes after every operation from the first fault on. */
async function attempt(
  scenario: CrashScenario,
  options: ExploreOptions,
  rules: readonly FaultRule[],
  points: CrashPoints,
  violations: Violations,
): Promise<Trial> {
  const fs = new MemoryFs(options.memory);
  scenario.setup?.(fs);
  fs.settle();
  const faulty = new FaultFs(fs, rules);
  const facts: string[] = [];
  let outcome: Crash["outcome"] = "running";
  let error: unknown;
  let before = "";
  const prefix = rules.length === 0 ? "" : `${formatFaults(rules)} `;
  const crash = (): void => {
    const state = fs.fingerprint(true) + outcome + facts.join();
    // Nothing changed: the same trees.
    if (state === before) return;
    before = state;
    const [now, known] = [outcome, [...facts]];
    const done = faulty.log.length;
    points.crash(fs, {
      id: `${prefix}${done}`,
      key: `${now} ${known.join()} ${String(error)}`,
      story: () => numbered(lines(faulty, done)),
      check: (tree, how) => scenario.check({ ...how, tree, facts: known, outcome: now, error }),
    });
  };
  // Before the fault the run is the one without it, and was looked at.
  const hit = (): boolean =>
    rules.length === 0 ||
    faulty.log.some((one) => one.outcome !== "ok" && one.outcome !== "in flight");
  fs.onOperation = () => {
    if (hit()) crash();
  };
  let failed = false;
  try {
    await scenario.run(faulty, (fact) => void facts.push(fact));
    outcome = "resolved";
  } catch (cause) {
    failed = true;
    error = cause;
    outcome = "rejected";
  }
  fs.onOperation = undefined;
  crash();
  const end = (broken: string | undefined): void => {
    const id = `${prefix}end`;
    if (broken === undefined || (options.replay ?? id) !== id) return;
    violations.add(broken, id, "explore", () => [
      ...numbered(lines(faulty, faulty.log.length)),
      `the run ${failed ? `rejects: ${String(error)}` : "resolves"}`,
    ]);
  };
  const how = { kind: "end", recovered: false } as const;
  end(scenario.check({ ...how, tree: fs.now(), facts, outcome, error }));
  if (!scenario.keepsHandles && faulty.openHandles > 0) {
    end(`I5: ${faulty.openHandles} descriptors are left open`);
  }
  for (const hazard of faulty.hazards) end(`I7: ${hazard}`);
  return failed ? { faulty, error } : { faulty };
}

function lines(faulty: FaultFs, count: number): readonly string[] {
  return faulty.log.slice(0, count).map(({ kind, path, dest, outcome }) =>
    `${kind} ${path}${dest === undefined ? "" : ` -> ${dest}`}: ${
      outcome === "in flight" ? "ok" : outcome
    }`
  );
}

/** Each operation of a clean run failing in each way, once and from then on; lost answers; short writes. */
function* faultsOf({ log }: FaultFs): Generator<readonly FaultRule[]> {
  const counts = new Map<string, number>();
  for (const { kind, bytes } of log) {
    const nth = (counts.get(kind) ?? 0) + 1;
    counts.set(kind, nth);
    for (const errno of POSSIBLE_ERRNOS[kind] ?? []) {
      for (const times of ["once", "always"] as const) yield [{ kinds: [kind], nth, errno, times }];
    }
    if (kind === "rename" || kind === "link") {
      yield [{ kinds: [kind], nth, errno: "EIO", afterwards: true }];
    }
    if (kind !== "write") continue;
    for (const short of shorts(bytes ?? 0)) {
      yield [{ kinds: [kind], nth, short }];
    }
    // From then on by halves: many short writes make many versions, and each is a choice of the power cut.
    if (bytes !== undefined && bytes > 1) {
      yield [{ kinds: [kind], nth, short: bytes >> 1, times: "always" }];
    }
  }
}

/** Every length of a short write; of a long one the first, the middle and the last. 0 is no progress at all. */
function shorts(bytes: number): readonly number[] {
  if (bytes <= 64) return Array.from({ length: bytes }, (_, length) => length);
  return [0, 1, bytes >> 1, bytes - 1];
}

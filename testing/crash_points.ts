/**
 * Crashes at one moment of a run: every tree that a kill or a power cut leaves, checked as it is, then recovered, checked again,
 * with another crash at every step of the recovery.
 */

import type { FsAdapter } from "../src/base/fs_adapter.ts";
import { type CrashImage, imageKey } from "./crash_image.ts";
import type { CrashProfile } from "./images.ts";
import { MemoryFs, type MemoryFsOptions } from "./memory_fs.ts";
import { digest } from "./digest.ts";
import { numbered, type Violations } from "./violations.ts";

/**
 * How a tree came about.
 *
 * @example A kill
 * ```ts
 * import { type CrashKind } from "@crashsafe/fs/testing";
 *
 * const how: CrashKind = { kind: "kill", recovered: false };
 * console.log(how.kind);
 * ```
 */
export interface CrashKind {
  /** Only the processes died, the disk keeps what calls have done; or the power went. */
  readonly kind: "kill" | "power cut";
  /** What the disk did at the power cut. */
  readonly profile?: CrashProfile;
  /** Whether the recovery has run. */
  readonly recovered: boolean;
}

/** The moment of a crash. */
export interface CrashPoint {
  /** Names the moment for a replay. */
  readonly id: string;
  /** Two moments with the same key and the same tree are one. */
  readonly key: string;
  /** What had happened. */
  readonly story: () => readonly string[];
  /** Says what is broken. */
  readonly check: (tree: CrashImage, how: CrashKind) => string | undefined;
}

/** What bounds and steers the crashes. */
export interface CrashPlan {
  readonly recover: ((fs: FsAdapter) => unknown) | undefined;
  readonly profiles: readonly CrashProfile[];
  /** Trees of one power cut to look at; more are counted as left out. */
  readonly maxImages: number;
  /** Crashes one inside the other: 2 looks into the recovery too. */
  readonly depth: number;
  readonly memory: MemoryFsOptions;
  /** Only this one. */
  readonly replay: string | undefined;
  /** The function that replays, for the story. */
  readonly call: string;
}

/** How much was looked at. */
export interface CrashCounts {
  kills: number;
  powerCuts: number;
  images: number;
  recoveries: number;
  /** Power cuts with more trees than `maxImages`. */
  truncated: number;
}

interface Found {
  readonly id: string;
  readonly image: CrashImage;
  /** Of a power cut. */
  readonly missing: (() => readonly string[]) | undefined;
  readonly how: CrashKind;
}

/** What the recovery makes of one image, and every tree that a crash in it leaves. The same for whoever got to the image. */
interface Recovery {
  readonly steps: readonly string[];
  readonly after: CrashImage;
  /** Why it is no recovery. */
  readonly failure: string | undefined;
  readonly crashes: readonly Omit<Found, "id">[];
  /** For each crash the number of steps before it, and its name. */
  readonly places: readonly { readonly done: number; readonly id: string }[];
}

export class CrashPoints {
  readonly counts: CrashCounts = {
    kills: 0,
    powerCuts: 0,
    images: 0,
    recoveries: 0,
    truncated: 0,
  };
  readonly #plan: CrashPlan;
  readonly #violations: Violations;
  readonly #seen = new Set<string>();
  readonly #recoveries = new Map<string, Recovery>();
  readonly #waiting: { readonly point: CrashPoint; readonly found: Found }[] = [];

  constructor(plan: CrashPlan, violations: Violations) {
    this.#plan = plan;
    this.#violations = violations;
  }

  /** Checks every tree that a crash now leaves, and keeps them for {@linkcode recoverAll}. */
  crash(fs: MemoryFs, point: CrashPoint): void {
    for (const { id, ...found } of this.#crashes(fs, this.#plan.profiles)) {
      this.#look(point, { ...found, id: `${point.id} ${id}` });
    }
  }

  /** Runs the recovery on all trees that were found. */
  async recoverAll(): Promise<void> {
    for (let next = this.#waiting.pop(); next !== undefined; next = this.#waiting.pop()) {
      await this.#recover(next.point, next.found);
    }
  }

  /** What a kill and each power cut leave now. */
  *#crashes(
    fs: MemoryFs,
    profiles: readonly CrashProfile[],
  ): Generator<Found> {
    this.counts.kills++;
    const how = { kind: "kill", recovered: false } as const;
    yield { id: "kill", image: fs.now(), missing: undefined, how };
    for (const profile of profiles) {
      this.counts.powerCuts++;
      let count = 0;
      for (const { image, missing } of fs.crashes(profile)) {
        if (++count > this.#plan.maxImages) {
          this.counts.truncated++;
          break;
        }
        const how = { kind: "power cut", profile, recovered: false } as const;
        yield { id: `${profile} ${count}`, image, missing, how };
      }
    }
  }

  #look(point: CrashPoint, found: Found): void {
    const key = digest(`${point.key}|${found.how.kind}|${imageKey(found.image)}`);
    if (this.#seen.has(key)) return;
    this.#seen.add(key);
    const { replay, recover } = this.#plan;
    if (replay !== undefined && replay !== found.id && !replay.startsWith(`${found.id} > `)) return;
    this.counts.images++;
    const story = (): readonly string[] => [...point.story(), ...told(found)];
    this.#judge(point, found.id, story, found.image, found.how);
    if (recover !== undefined) this.#waiting.push({ point, found });
  }

  #judge(
    point: CrashPoint,
    id: string,
    story: () => readonly string[],
    tree: CrashImage,
    how: CrashKind,
  ): void {
    const { replay, call } = this.#plan;
    if (replay !== undefined && replay !== id) return;
    const broken = point.check(tree, how);
    if (broken !== undefined) this.#violations.add(broken, id, call, story);
  }

  async #recover(point: CrashPoint, found: Found): Promise<void> {
    const { how, image } = found;
    const recovery = await this.#recovery(image, how.profile, this.#plan.depth);
    const begun = (): readonly string[] => [...point.story(), ...told(found), "recovery begins"];
    const ended = (): readonly string[] => [...begun(), ...numbered(recovery.steps)];
    this.#conclude(point, found.id, ended, recovery, how);
    for (const [index, crash] of recovery.crashes.entries()) {
      const { done, id: place } = recovery.places[index] as Recovery["places"][number];
      const id = `${found.id} > ${place}`;
      const story = (): readonly string[] => [
        ...begun(),
        ...numbered(recovery.steps.slice(0, done)),
        ...told(crash),
      ];
      this.#judge(point, id, story, crash.image, crash.how);
      const again = await this.#recovery(crash.image, crash.how.profile, 1);
      const last = (): readonly string[] => [...story(), "recovery runs again"];
      this.#conclude(point, id, last, again, crash.how);
    }
  }

  #conclude(
    point: CrashPoint,
    id: string,
    story: () => readonly string[],
    { failure, after }: Recovery,
    how: CrashKind,
  ): void {
    if (failure === undefined) this.#judge(point, id, story, after, { ...how, recovered: true });
    else if ((this.#plan.replay ?? id) === id) {
      this.#violations.add(`I6: the recovery fails: ${failure}`, id, this.#plan.call, story);
    }
  }

  /** Runs the recovery on an image, or remembers what it did there. */
  async #recovery(
    image: CrashImage,
    profile: CrashProfile | undefined,
    depth: number,
  ): Promise<Recovery> {
    const key = digest(`${profile} ${depth} ${imageKey(image)}`);
    const known = this.#recoveries.get(key);
    if (known !== undefined) return known;
    const { recover, memory } = this.#plan;
    this.counts.recoveries++;
    const fs = MemoryFs.from(image, memory);
    const steps: string[] = [];
    const crashes: Omit<Found, "id">[] = [];
    const places: { readonly done: number; readonly id: string }[] = [];
    const seen = new Set<string>();
    fs.onOperation = ({ text }) => {
      steps.push(text);
      if (depth < 2) return;
      for (const { id, ...found } of this.#crashes(fs, profile ? [profile] : [])) {
        const tree = digest(imageKey(found.image));
        if (seen.has(tree)) continue;
        seen.add(tree);
        // Whatever ends the recovery, it began with a power cut.
        crashes.push(
          profile ? { ...found, how: { ...found.how, kind: "power cut", profile } } : found,
        );
        places.push({ done: steps.length, id: `${steps.length} ${id}` });
      }
    };
    let failure: string | undefined;
    try {
      await recover?.(fs);
    } catch (error) {
      failure = String(error);
    }
    fs.onOperation = undefined;
    const after = fs.now();
    if (failure === undefined) failure = await this.#unstable(fs, after);
    const recovery = { steps, after, failure, crashes, places };
    this.#recoveries.set(key, recovery);
    return recovery;
  }

  /** A second recovery must find nothing to do. */
  async #unstable(fs: MemoryFs, after: CrashImage): Promise<string | undefined> {
    try {
      await this.#plan.recover?.(fs.spawn());
    } catch (error) {
      return `the second time ${String(error)}`;
    }
    return imageKey(fs.now()) === imageKey(after)
      ? undefined
      : "a second one changes what the first one left";
  }
}

function told({ how, missing }: Omit<Found, "id">): readonly string[] {
  if (missing === undefined) return ["the process is killed"];
  return [`the power goes (${how.profile}): ${missing().join("; ")}`];
}

/** A broken promise, told so that it can be understood and brought back. */

/**
 * What an exploration found.
 *
 * @example Tell it
 * ```ts
 * import { explore, type Violation } from "@crashsafe/fs/testing";
 *
 * const { violations } = await explore({ run: () => {}, check: () => undefined });
 * const shown: string[] = violations.map(({ broken }: Violation) => broken);
 * console.log(shown); // []
 * ```
 */
export interface Violation {
  /** What the check said. */
  readonly broken: string;
  /** Numbered lines: what was done, what the crash left, what is broken, and the line that replays it. */
  readonly story: string;
  /** The option `replay` that brings just this one back. */
  readonly replay: string;
}

/** Violations, the first of each kind. */
export class Violations {
  readonly found: Violation[] = [];
  readonly #seen = new Set<string>();

  /** Adds one, told by `lines`, unless its like is there or there are enough. */
  add(broken: string, replay: string, call: string, lines: () => readonly string[]): void {
    // The same words about other names, numbers or contents are the same violation.
    const kind = broken.replace(/[a-z2-7]{26}|[0-9]+|".*?"/g, "_");
    if (this.#seen.has(kind) || this.found.length === MOST) return;
    this.#seen.add(kind);
    const story = [
      ...lines(),
      `=> ${broken}`,
      `replay: ${call}(scenario, { replay: ${JSON.stringify(replay)} })`,
    ];
    this.found.push({ broken, story: story.join("\n"), replay });
  }
}

/** Enough to work on; the rest is the same mistake. */
export const MOST = 20;

/** Operations as a numbered list. */
export function numbered(lines: readonly string[], from = 1): readonly string[] {
  return lines.map((line, index) => `${String(from + index).padStart(3)}. ${line}`);
}

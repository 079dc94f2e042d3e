/** What goes wrong in a {@linkcode FaultFs}, as data: matched, counted, written as one line of JSON and read back. */

import type { FsOps } from "../src/base/fs_adapter.ts";

/**
 * The kinds of operation, as a trace names them: `closeDir` is the close of a directory, `unpin` that of a pinned file.
 *
 * @example What can be durable
 * ```ts
 * import { type OperationKind } from "@crashsafe/fs/testing";
 *
 * const kinds: OperationKind[] = ["fsync", "fsyncDir", "syncFs"];
 * console.log(kinds.length);
 * ```
 */
export type OperationKind = keyof FsOps | "closeDir" | "unpin";

/**
 * One fault. It counts the operations that it matches; `nth` is the first one that it hits, 1 being the first. Where several
 * rules hit one operation, their delay, their shortening and the error of the first that has one come together.
 *
 * @example The second write falls short
 * ```ts
 * import { type FaultRule } from "@crashsafe/fs/testing";
 *
 * const rule: FaultRule = { kinds: ["write"], nth: 2, short: 1 };
 * console.log(rule.nth);
 * ```
 */
export interface FaultRule {
  /** Which kinds of operation; left out: all. */
  readonly kinds?: readonly OperationKind[];
  /** Only operations on a path (or to a second path) that contains this text, or matches this expression. */
  readonly path?: string | RegExp;
  /** The first matching operation to hit. @default 1 */
  readonly nth?: number;
  /** Hit this one only, or all from then on. @default "once" */
  readonly times?: "once" | "always";
  /** The error code to fail with. */
  readonly errno?: string;
  /** Carry the operation out, and lose its answer (as a network file system may). @default false */
  readonly afterwards?: boolean;
  /** Write or read at most this many bytes. */
  readonly short?: number;
  /** In asynchronous operations: begin this much later. 0 makes the operation answer a promise, and no more. */
  readonly delayMs?: number;
}

/** What the rules say about one operation. */
export interface Verdict {
  readonly errno: string | undefined;
  readonly afterwards: boolean;
  readonly short: number | undefined;
  readonly delayMs: number | undefined;
}

/** Rules with the count of what each has matched. */
export class CountedRules {
  readonly #counted: readonly { readonly rule: FaultRule; matches: number }[];

  constructor(rules: readonly FaultRule[]) {
    this.#counted = rules.map((rule) => ({ rule: checked(rule), matches: 0 }));
  }

  /** Counts the operation and answers what is to become of it. */
  judge(kind: OperationKind, paths: readonly string[]): Verdict {
    const hits = this.#counted.filter((counted) => {
      const { rule: { kinds, path, nth = 1, times } } = counted;
      if (kinds !== undefined && !kinds.includes(kind)) return false;
      if (path !== undefined && !paths.some((one) => matches(path, one))) return false;
      counted.matches++;
      return counted.matches === nth || (counted.matches > nth && times === "always");
    }).map(({ rule }) => rule);
    const failing = hits.find((rule) => rule.errno !== undefined);
    return {
      errno: failing?.errno,
      afterwards: failing?.afterwards ?? false,
      short: hits.find((rule) => rule.short !== undefined)?.short,
      delayMs: hits.find((rule) => rule.delayMs !== undefined)?.delayMs,
    };
  }
}

/** The rules as one line that {@linkcode parseFaults} reads. */
export function formatFaults(rules: readonly FaultRule[]): string {
  return JSON.stringify(
    rules,
    (_, value) =>
      value instanceof RegExp ? { source: value.source, flags: value.flags } : value as unknown,
  );
}

/**
 * Reads the last line of `FaultFs.story()`.
 *
 * @param line The line, with or without its `replay: `.
 * @returns The rules for a new `FaultFs`.
 * @throws {SyntaxError} When that is no list of rules.
 * @throws {TypeError} When a rule could never do anything.
 *
 * @example Bring a failure back
 * ```ts
 * import { parseFaults } from "@crashsafe/fs/testing";
 *
 * console.log(parseFaults('replay: [{"kinds":["fsync"],"errno":"EIO"}]'));
 * ```
 */
export function parseFaults(line: string): readonly FaultRule[] {
  const rules: unknown = JSON.parse(line.replace(/^replay: /, ""));
  if (!Array.isArray(rules)) throw new SyntaxError(`Not a list of rules: ${line}`);
  return rules.map((rule) => checked(withRegExp(rule)));
}

function withRegExp(rule: unknown): FaultRule {
  if (typeof rule !== "object" || rule === null) {
    throw new SyntaxError(`Not a rule: ${JSON.stringify(rule)}`);
  }
  const { path } = rule as { path?: string | { source: string; flags: string } };
  if (typeof path !== "object") return rule as FaultRule;
  return { ...rule, path: new RegExp(path.source, path.flags) };
}

/** A rule that never hits makes a test that cannot fail, so a slip in one is an error. */
function checked(rule: FaultRule): FaultRule {
  const wrong = (what: string): never => {
    throw new TypeError(`${what} in the rule ${formatFaults([rule]).slice(1, -1)}`);
  };
  for (const name of Object.keys(rule)) {
    if (!FIELDS.includes(name)) wrong(`Unknown field ${JSON.stringify(name)}`);
  }
  for (const kind of rule.kinds ?? []) {
    if (!KINDS.has(kind)) wrong(`Unknown kind ${JSON.stringify(kind)}`);
  }
  const { nth = 1, times = "once", short = 0, delayMs = 0 } = rule;
  if (!Number.isInteger(nth) || nth < 1) wrong("nth must be 1 or more");
  if (times !== "once" && times !== "always") wrong("times must be once or always");
  if (!Number.isInteger(short) || short < 0) wrong("short must be 0 or more bytes");
  if (!(delayMs >= 0)) wrong("delayMs must be 0 or more");
  if (rule.errno === undefined && rule.short === undefined && rule.delayMs === undefined) {
    wrong("None of errno, short and delayMs");
  }
  return rule;
}

function matches(wanted: string | RegExp, path: string): boolean {
  // Not test(): it would remember where the last match of a global expression ended.
  return typeof wanted === "string" ? path.includes(wanted) : path.search(wanted) >= 0;
}

const FIELDS: readonly string[] = [
  "kinds",
  "path",
  "nth",
  "times",
  "errno",
  "afterwards",
  "short",
  "delayMs",
];

/** A record, so that the compiler misses no method of FsOps. */
const EVERY_KIND: Readonly<Record<OperationKind, true>> = {
  open: true,
  openDir: true,
  read: true,
  write: true,
  fsync: true,
  fsyncDir: true,
  syncFs: true,
  close: true,
  closeDir: true,
  stat: true,
  lstat: true,
  fstat: true,
  chmod: true,
  fchmod: true,
  fchown: true,
  futimes: true,
  flock: true,
  flockWait: true,
  pin: true,
  unpin: true,
  funlock: true,
  readlink: true,
  rename: true,
  link: true,
  unlink: true,
  mkdir: true,
  rmdir: true,
  readdir: true,
  clone: true,
  sleep: true,
};
const KINDS: ReadonlySet<string> = new Set(Object.keys(EVERY_KIND));

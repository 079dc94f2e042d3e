/**
 * A file system that fails on purpose: wraps an adapter, makes chosen operations fail, fall short or come late, and writes down
 * what happened.
 */

import type {
  FsAdapter,
  FsHandle,
  FsOps,
  MaybePromise,
  SyncFsOps,
} from "../src/base/fs_adapter.ts";

/** The kinds of operation, as a trace names them: `fsyncDir` and `closeDir` are those of directories. */
export type OperationKind = Exclude<keyof FsOps, "sleep"> | "closeDir" | "sleep";

/** One fault. Counted per rule: `nth` is the first matching operation that it hits, 1 being the first. */
export interface FaultRule {
  /** Which kinds of operation; left out: all. */
  readonly kinds?: readonly OperationKind[];
  /** Only operations on a path that contains this text. */
  readonly path?: string;
  /** The first matching operation to hit. @default 1 */
  readonly nth?: number;
  /** Hit this one only, or all from then on. @default "once" */
  readonly times?: "once" | "always";
  /** The error code to fail with. */
  readonly errno?: string;
  /** Carry the operation out, and lose its answer (as a network file system may). @default false */
  readonly afterwards?: boolean;
  /** Write or read at most this many bytes instead of failing. */
  readonly short?: number;
  /** In asynchronous operations: answer this much later. */
  readonly delayMs?: number;
}

/** One line of what happened. */
export interface LoggedOperation {
  /** What was called. */
  readonly kind: OperationKind;
  /** On what; of a handle, the path it was opened with. */
  readonly path: string;
  /** The second path of rename and link. */
  readonly dest?: string;
  /** `"ok"`, the code of an error, or `"short N"`. */
  outcome: string;
}

/** The error that a fault throws: shaped like the runtime's own. */
export class InjectedFault extends Error {
  /** The error code of the rule. */
  readonly code: string;

  /** Made by {@linkcode FaultFs}; exported for `instanceof`. */
  constructor(code: string, kind: string, path: string) {
    super(`${code}: injected fault, ${kind} '${path}'`);
    this.code = code;
  }
}

/**
 * An adapter with faults.
 *
 * @example Keep the old file when the disk is full
 * ```ts
 * import { atomicWriteSync, type PublishError, systemAdapter } from "@crashsafe/fs";
 * import { FaultFs } from "@crashsafe/fs/testing";
 * import { mkdtempSync, readdirSync, rmSync } from "node:fs";
 *
 * const dir = mkdtempSync("example-");
 * const adapter = new FaultFs(systemAdapter(), [{ kinds: ["write"], errno: "ENOSPC" }]);
 * try {
 *   atomicWriteSync(`${dir}/file`, "data", { adapter });
 * } catch (error) {
 *   console.log((error as PublishError).code, readdirSync(dir)); // ENOSPC []
 * }
 * console.log(adapter.story());
 * rmSync(dir, { recursive: true });
 * ```
 */
export class FaultFs implements FsAdapter {
  /** The name of the adapter inside. */
  readonly name: string;
  /** The synchronous operations, with faults. */
  readonly sync: SyncFsOps;
  /** The asynchronous operations, with faults. */
  readonly async: FsOps;
  /** Everything that was called, in order. */
  readonly log: LoggedOperation[] = [];
  readonly #inner: FsAdapter;
  readonly #rules: readonly FaultRule[];
  readonly #matches: number[];
  readonly #paths = new Map<FsHandle, { readonly path: string; readonly dir: boolean }>();

  /**
   * Wraps an adapter.
   *
   * @param inner The file system to call.
   * @param rules What goes wrong; none: everything is only written down.
   */
  constructor(inner: FsAdapter, rules: readonly FaultRule[] = []) {
    this.#inner = inner;
    this.#rules = rules;
    this.#matches = rules.map(() => 0);
    this.name = inner.name;
    this.sync = this.#wrap(inner.sync) as unknown as SyncFsOps;
    this.async = this.#wrap(inner.async);
  }

  /** The capabilities of the adapter inside. */
  get capabilities(): FsAdapter["capabilities"] {
    return this.#inner.capabilities;
  }

  /** The process of the adapter inside. */
  get process(): FsAdapter["process"] {
    return this.#inner.process;
  }

  /** The transient codes of the adapter inside. */
  get transientRenameErrors(): readonly string[] {
    return this.#inner.transientRenameErrors;
  }

  /** Names injected faults by their rule and others as the adapter inside does. */
  classify(error: unknown): string | undefined {
    return error instanceof InjectedFault ? error.code : this.#inner.classify(error);
  }

  /** The built-in digests of the adapter inside. */
  digest(algorithm: "sha256" | "sha512"): ReturnType<NonNullable<FsAdapter["digest"]>> {
    return this.#inner.digest?.(algorithm);
  }

  /** How many handles are open: 0 when nothing leaked. */
  get openHandles(): number {
    return this.#paths.size;
  }

  /** The kinds of all operations in one line: the golden trace of an algorithm. */
  trace(): string {
    return this.log.map((one) => one.kind).join(" ");
  }

  /** The operations as a numbered list, ending in the line that brings the same faults back. */
  story(): string {
    const lines = this.log.map(({ kind, path, dest, outcome }, index) =>
      `${index + 1}. ${kind} ${path}${dest === undefined ? "" : ` -> ${dest}`}: ${outcome}`
    );
    return [...lines, `replay: ${JSON.stringify(this.#rules)}`].join("\n");
  }

  #wrap(ops: FsOps | SyncFsOps): FsOps {
    const wrapped: Record<string, unknown> = {};
    for (const name of Object.keys(ops) as (keyof FsOps)[]) {
      const call = ops[name] as (...args: readonly unknown[]) => MaybePromise<unknown>;
      wrapped[name] = (...args: readonly unknown[]) =>
        this.#call(name, args, ops === this.#inner.async, call);
    }
    return wrapped as unknown as FsOps;
  }

  #call(
    name: keyof FsOps,
    args: readonly unknown[],
    async: boolean,
    call: (...args: readonly unknown[]) => MaybePromise<unknown>,
  ): MaybePromise<unknown> {
    const opened = this.#paths.get(args[0] as FsHandle);
    const kind: OperationKind = name === "close" && opened?.dir ? "closeDir" : name;
    const path = opened?.path ?? String(args[0]);
    const entry: LoggedOperation = typeof args[1] === "string"
      ? { kind, path, dest: args[1], outcome: "ok" }
      : { kind, path, outcome: "ok" };
    this.log.push(entry);
    const rule = this.#hit(kind, path);
    const perform = (): MaybePromise<unknown> => {
      if (rule?.errno !== undefined && !rule.afterwards) {
        // A close that fails has closed all the same (close(2)).
        if (name === "close") this.#settle(name, args, entry, () => call(...args));
        entry.outcome = rule.errno;
        throw new InjectedFault(rule.errno, kind, path);
      }
      const given = this.#shortened(name, args, rule, entry);
      return this.#settle(name, given, entry, () => call(...given), rule);
    };
    const delayMs = rule?.delayMs;
    if (!async || delayMs === undefined) return perform();
    return new Promise((resolve) => setTimeout(resolve, delayMs)).then(perform);
  }

  /** Calls, writes down how it ended, and keeps the list of open handles. */
  #settle(
    name: keyof FsOps,
    args: readonly unknown[],
    entry: LoggedOperation,
    call: () => MaybePromise<unknown>,
    rule?: FaultRule,
  ): MaybePromise<unknown> {
    const done = (answer: unknown): unknown => {
      if (name === "open" || name === "openDir") {
        this.#paths.set(answer as FsHandle, { path: entry.path, dir: name === "openDir" });
      }
      if (rule?.errno !== undefined) {
        entry.outcome = `${rule.errno}, carried out`;
        throw new InjectedFault(rule.errno, entry.kind, entry.path);
      }
      return answer;
    };
    const failed = (error: unknown): never => {
      if (!(error instanceof InjectedFault)) entry.outcome = this.classify(error) ?? String(error);
      throw error;
    };
    if (name === "close") this.#paths.delete(args[0] as FsHandle);
    let answer: MaybePromise<unknown>;
    try {
      answer = call();
    } catch (error) {
      return failed(error);
    }
    return isPromiseLike(answer) ? answer.then(done, failed) : done(answer);
  }

  #shortened(
    name: keyof FsOps,
    args: readonly unknown[],
    rule: FaultRule | undefined,
    entry: LoggedOperation,
  ): readonly unknown[] {
    const [handle, bytes, ...rest] = args;
    if (rule?.short === undefined || !(bytes instanceof Uint8Array)) return args;
    if (name !== "write" && name !== "read") return args;
    entry.outcome = `short ${rule.short}`;
    return [handle, bytes.subarray(0, rule.short), ...rest];
  }

  #hit(kind: OperationKind, path: string): FaultRule | undefined {
    let hit: FaultRule | undefined;
    this.#rules.forEach((rule, index) => {
      if (rule.kinds !== undefined && !rule.kinds.includes(kind)) return;
      if (rule.path !== undefined && !path.includes(rule.path)) return;
      const count = this.#matches[index] = (this.#matches[index] ?? 0) + 1;
      const nth = rule.nth ?? 1;
      if (count === nth || (count > nth && rule.times === "always")) hit ??= rule;
    });
    return hit;
  }
}

/**
 * Reads the last line of {@linkcode FaultFs.story}.
 *
 * @param line The line, with or without its `replay: `.
 * @returns The rules for a new {@linkcode FaultFs}.
 * @throws {SyntaxError} When that is no list of rules.
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
  return rules as readonly FaultRule[];
}

function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as PromiseLike<unknown> | null)?.then === "function";
}

/**
 * A file system that fails on purpose: wraps an adapter, makes chosen operations fail, fall short or come late, writes down
 * what happened, and notices what no caller may do.
 */

import type {
  FsAdapter,
  FsHandle,
  FsOps,
  MaybePromise,
  SyncFsOps,
} from "../src/base/fs_adapter.ts";
import {
  CountedRules,
  type FaultRule,
  formatFaults,
  type OperationKind,
  type Verdict,
} from "./fault_rules.ts";
import { HazardWatch } from "./hazard_watch.ts";
import type { MemoryFs } from "./memory_fs.ts";

/**
 * One line of what happened.
 *
 * @example What was called
 * ```ts
 * import { atomicWriteSync } from "@crashsafe/fs";
 * import { FaultFs, type LoggedOperation, MemoryFs } from "@crashsafe/fs/testing";
 *
 * const adapter = new FaultFs(new MemoryFs());
 * atomicWriteSync("/file", "data", { adapter });
 * const log: readonly LoggedOperation[] = adapter.log;
 * console.log(log.filter(({ kind }) => kind === "rename").length); // 1
 * ```
 */
export interface LoggedOperation {
  /** What was called. */
  readonly kind: OperationKind;
  /** On what; of a handle, the path it was opened with. */
  readonly path: string;
  /** The second path of rename, link and clone. */
  readonly dest?: string;
  /** Of read and write: how many bytes were asked for. */
  readonly bytes?: number;
  /** `"ok"`, the code of an error, `"short N"`, or `"in flight"` until it has settled. */
  outcome: string;
}

/**
 * The error that a fault throws: shaped like the runtime's own.
 *
 * @example Told from a real one
 * ```ts
 * import { FaultFs, InjectedFault, MemoryFs } from "@crashsafe/fs/testing";
 *
 * const adapter = new FaultFs(new MemoryFs(), [{ kinds: ["mkdir"], errno: "ENOSPC" }]);
 * try {
 *   adapter.sync.mkdir("/dir", 0o755);
 * } catch (error) {
 *   console.log(error instanceof InjectedFault); // true
 * }
 * ```
 */
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
  readonly #counted: CountedRules;
  readonly #paths = new Map<FsHandle, { readonly path: string; readonly how: Opened }>();
  readonly #watch = new HazardWatch();

  /**
   * Wraps an adapter.
   *
   * @param inner The file system to call.
   * @param rules What goes wrong; none: everything is only written down.
   * @throws {TypeError} When a rule could never do anything.
   */
  constructor(inner: FsAdapter, rules: readonly FaultRule[] = []) {
    this.#inner = inner;
    this.#rules = [...rules];
    this.#counted = new CountedRules(this.#rules);
    this.name = inner.name;
    this.sync = this.#wrap(inner.sync, false) as unknown as SyncFsOps;
    this.async = this.#wrap(inner.async, true);
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

  /**
   * What the caller did and never may, in sentences: a handle closed or its bytes changed under an operation in flight, a closed
   * handle used, a file synced again or published after its fsync failed.
   */
  get hazards(): readonly string[] {
    return this.#watch.seen;
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
    const hazards = this.hazards.map((hazard) => `hazard: ${hazard}`);
    return [...lines, ...hazards, `replay: ${formatFaults(this.#rules)}`].join("\n");
  }

  #wrap(ops: FsOps | SyncFsOps, async: boolean): FsOps {
    const wrapped: Record<string, unknown> = {};
    for (const name of Object.keys(ops) as (keyof FsOps)[]) {
      if ((ops as FsOps)[name] === undefined) continue;
      const call = (ops as FsOps)[name] as (...args: readonly unknown[]) => MaybePromise<unknown>;
      wrapped[name] = (...args: readonly unknown[]) => this.#call(name, args, async, call);
    }
    return wrapped as unknown as FsOps;
  }

  #call(
    name: keyof FsOps,
    args: readonly unknown[],
    async: boolean,
    call: (...args: readonly unknown[]) => MaybePromise<unknown>,
  ): MaybePromise<unknown> {
    const entry = this.#entry(name, args);
    this.log.push(entry);
    const verdict = this.#counted.judge(
      entry.kind,
      entry.dest === undefined ? [entry.path] : [entry.path, entry.dest],
    );
    const end = this.#watch.begin(entry, args);
    // A close that fails has closed all the same (close(2)).
    if (name === "close") this.#paths.delete(args[0] as FsHandle);
    const perform = (): MaybePromise<unknown> => {
      if (verdict.errno !== undefined && !verdict.afterwards && name !== "close") {
        if (name === "fsync" || name === "fsyncDir") this.#tellDisk(name, args[0] as FsHandle);
        return this.#fail(name, entry, verdict.errno);
      }
      return settle(
        () => call(...shortened(name, args, verdict.short)),
        (answer) => this.#succeed(name, entry, verdict, answer),
        (error) => {
          entry.outcome = this.classify(error) ?? String(error);
          throw error;
        },
      );
    };
    return settle(
      () => async && verdict.delayMs !== undefined ? later(verdict.delayMs, perform) : perform(),
      (answer) => {
        end(true);
        return answer;
      },
      (error) => {
        end(false);
        throw error;
      },
    );
  }

  /** A simulated disk must know: what a failed fsync was to write is lost. */
  #tellDisk(name: "fsync" | "fsyncDir", handle: FsHandle): void {
    (this.#inner as FsAdapter & Partial<MemoryFs>).injectedFault?.(name, handle);
  }

  #entry(name: keyof FsOps, args: readonly unknown[]): LoggedOperation {
    const [first, second] = args;
    const opened = this.#paths.get(first as FsHandle);
    const kind = name === "close" ? CLOSES[opened?.how ?? "file"] : name;
    const path = typeof first === "string" ? first : opened?.path ?? "";
    const dest = name === "rename" || name === "link"
      ? String(second)
      : name === "clone"
      ? this.#paths.get(second as FsHandle)?.path
      : undefined;
    return {
      kind,
      path,
      ...(dest === undefined ? {} : { dest }),
      ...(ArrayBuffer.isView(second) ? { bytes: second.byteLength } : {}),
      outcome: "in flight",
    };
  }

  /** Throws, or answers where the interface has an answer instead of an error. */
  #fail(name: keyof FsOps, entry: LoggedOperation, errno: string): unknown {
    entry.outcome = errno;
    if ((name === "stat" || name === "lstat") && errno === "ENOENT") return undefined;
    if (name === "flock" && (errno === "EWOULDBLOCK" || errno === "EAGAIN")) return false;
    throw new InjectedFault(errno, entry.kind, entry.path);
  }

  #succeed(
    name: keyof FsOps,
    entry: LoggedOperation,
    { errno, short }: Verdict,
    answer: unknown,
  ): MaybePromise<unknown> {
    entry.outcome = short !== undefined && (name === "read" || name === "write")
      ? `short ${short}`
      : "ok";
    const how = answer === undefined ? undefined : OPENS[name];
    if (errno === undefined) {
      if (how !== undefined) this.#paths.set(answer as FsHandle, { path: entry.path, how });
      return answer;
    }
    // The caller will never hear of this handle.
    if (how !== undefined) this.#inner.sync.close(answer as FsHandle);
    entry.outcome = name === "close" ? errno : `${errno}, carried out`;
    throw new InjectedFault(errno, entry.kind, entry.path);
  }
}

/** What a handle was opened for; its close is named after it. */
type Opened = "file" | "dir" | "pin";
const OPENS: Readonly<Partial<Record<keyof FsOps, Opened>>> = {
  open: "file",
  openDir: "dir",
  pin: "pin",
};
const CLOSES: Readonly<Record<Opened, OperationKind>> = {
  file: "close",
  dir: "closeDir",
  pin: "unpin",
};

/** Waits for an answer only where it is a promise. */
function settle(
  call: () => MaybePromise<unknown>,
  done: (answer: unknown) => MaybePromise<unknown>,
  failed: (error: unknown) => never,
): MaybePromise<unknown> {
  let answer: MaybePromise<unknown>;
  try {
    answer = call();
  } catch (error) {
    return failed(error);
  }
  return isPromiseLike(answer) ? answer.then(done, failed) : done(answer);
}

function later(delayMs: number, perform: () => MaybePromise<unknown>): Promise<unknown> {
  const start = delayMs === 0
    ? Promise.resolve()
    : new Promise<void>((resolve) => setTimeout(resolve, delayMs));
  return start.then(perform);
}

function shortened(
  name: keyof FsOps,
  args: readonly unknown[],
  short: number | undefined,
): readonly unknown[] {
  const [handle, bytes, ...rest] = args;
  if (short === undefined || (name !== "write" && name !== "read")) return args;
  return [handle, (bytes as Uint8Array).subarray(0, short), ...rest];
}

function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as PromiseLike<unknown> | null)?.then === "function";
}

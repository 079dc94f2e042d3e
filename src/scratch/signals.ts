/**
 * Removing temporary files when the process ends. Nothing of this happens before `installSignalHandlers` is called.
 *
 * - A signal: the files go, synchronously. Mode "delete": the process goes on, so files in use stay. Mode "delete-and-restore-default": if nobody else listens
 *   for the signal, everything goes, our listeners too, and the signal is sent again, so that the process dies by it.
 * - Any other end but SIGKILL: everything goes.
 * - Only the main thread listens for signals: they do not arrive in workers of Node and Bun. A worker tells it of its files.
 */

import { chooseAdapter } from "../base/default_adapter.ts";
import { MisuseError, UnsupportedError } from "../base/errors.ts";
import type { ExitHooks, FsAdapter, WorkerLine } from "../base/fs_adapter.ts";
import type { ProcessState, TempNews } from "../base/process_state.ts";
import { StepFs } from "../base/step_fs.ts";
import { cleanUp } from "./registry.ts";

/**
 * What a signal does.
 *
 * @example Live on
 * ```ts
 * import { installSignalHandlers, type SignalMode } from "@crashsafe/fs";
 *
 * const mode: SignalMode = "delete";
 * installSignalHandlers(mode).uninstall();
 * ```
 */
export type SignalMode = "delete" | "delete-and-restore-default" | "none";

/**
 * The signals that end a process which does not listen for them (signal(7)).
 *
 * @example One alone
 * ```ts
 * import { installSignalHandlers, type TerminationSignal } from "@crashsafe/fs";
 *
 * const signals: TerminationSignal[] = ["SIGTERM"];
 * installSignalHandlers("delete", { signals }).uninstall();
 * ```
 */
export type TerminationSignal = "SIGTERM" | "SIGINT" | "SIGQUIT" | "SIGHUP";

/**
 * Which handlers to install.
 *
 * @example Also when the terminal is closed
 * ```ts
 * import { installSignalHandlers, type SignalHandlerOptions } from "@crashsafe/fs";
 *
 * const options: SignalHandlerOptions = { signals: ["SIGTERM", "SIGINT", "SIGHUP"] };
 * installSignalHandlers("delete-and-restore-default", options).uninstall();
 * ```
 */
export interface SignalHandlerOptions {
  /** The signals listened for. @default ["SIGTERM", "SIGINT", "SIGQUIT"] */
  readonly signals?: readonly TerminationSignal[];
  /** The file system whose process is meant. @default the runtime's own */
  readonly adapter?: FsAdapter;
}

/**
 * Handlers that are installed.
 *
 * @example As long as a part runs
 * ```ts
 * import { installSignalHandlers, type SignalHandlers } from "@crashsafe/fs";
 *
 * using handlers: SignalHandlers = installSignalHandlers("delete");
 * console.log(typeof handlers.uninstall); // function
 * ```
 */
export interface SignalHandlers {
  /** Takes them away, if they are still the ones installed. */
  uninstall(): void;
  /** The same, for `using`. */
  [Symbol.dispose](): void;
}

/**
 * Removes the temporary files of this process (those of unfinished writes, too) when a signal or anything else but SIGKILL ends it. Can be called again: the last call counts,
 * also after temporary files were made. A worker calls it for its own files.
 *
 * @param mode `"delete"` lets the process go on after a signal; `"delete-and-restore-default"` lets it die by the signal, unless somebody else
 * listens for it too; `"none"` takes the handlers away.
 * @param options Which signals.
 * @returns The handlers, to be taken away again.
 * @throws {TypeError} For another mode or signal: nothing was installed.
 * @throws {UnsupportedError} When the adapter does not know how its process ends.
 *
 * @example In the main file of a program
 * ```ts
 * import { installSignalHandlers } from "@crashsafe/fs";
 *
 * const handlers = installSignalHandlers("delete-and-restore-default", {
 *   signals: ["SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP"],
 * });
 * // … the work …
 * handlers.uninstall();
 * ```
 */
export function installSignalHandlers(
  mode: SignalMode,
  options: SignalHandlerOptions = {},
): SignalHandlers {
  const { signals = ["SIGTERM", "SIGINT", "SIGQUIT"] } = options;
  const adapter = chooseAdapter(options.adapter);
  if (!["delete", "delete-and-restore-default", "none"].includes(mode)) {
    throw new MisuseError(
      `mode must be "delete", "delete-and-restore-default" or "none", not ${JSON.stringify(mode)}`,
    );
  }
  const unknown = signals.find((signal) => !TERMINATION_SIGNALS.includes(signal));
  if (unknown !== undefined) {
    throw new MisuseError(
      `signals may be ${TERMINATION_SIGNALS.join(", ")}, not ${JSON.stringify(unknown)}`,
    );
  }
  const { state } = new StepFs(adapter, "sync");
  state.uninstall?.();
  state.uninstall = undefined;
  if (mode === "none") return handlersOf(state, () => {});
  const { exits } = adapter.process;
  if (exits === undefined) {
    throw new UnsupportedError(
      "exits",
      `Cannot install signal handlers: ${adapter.name} has none`,
      {
        operation: "signal",
        path: "",
      },
    );
  }
  const uninstall = install(state, adapter, exits, mode, [...new Set(signals)]);
  state.uninstall = uninstall;
  return handlersOf(state, uninstall);
}

const TERMINATION_SIGNALS: readonly TerminationSignal[] = [
  "SIGTERM",
  "SIGINT",
  "SIGQUIT",
  "SIGHUP",
];

function handlersOf(state: ProcessState, uninstall: () => void): SignalHandlers {
  const once = (): void => {
    if (state.uninstall !== uninstall) return;
    state.uninstall = undefined;
    uninstall();
  };
  return { uninstall: once, [Symbol.dispose]: once };
}

function install(
  state: ProcessState,
  adapter: FsAdapter,
  exits: ExitHooks,
  mode: SignalMode,
  signals: readonly TerminationSignal[],
): () => void {
  const stops = [exits.onExit(() => void cleanUp(state, "all"))];
  const { workers } = exits;
  const line = workers === undefined ? undefined : connect(state, adapter, workers);
  if (line !== undefined) stops.push(line.close);
  if (workers === undefined || workers.isMain) {
    for (const signal of signals) {
      const stop = exits.onSignal(signal, () => {
        // Ours is one of them.
        const others = exits.countListeners(signal) - 1;
        if (mode === "delete" || others > 0) {
          line?.order("clean up");
          cleanUp(state, "idle");
          return;
        }
        cleanUp(state, "all");
        state.uninstall?.();
        state.uninstall = undefined;
        exits.raise(signal);
      });
      stops.push(stop);
    }
  }
  return () => {
    for (const stop of stops) stop();
  };
}

/** What the main thread says to all workers. */
type Order = "tell me" | "clean up";

/** What a worker says to the main thread. */
interface WorkerNews {
  readonly realm: string;
  readonly news: readonly TempNews[];
}

/** One end of the line between the main thread and its workers. */
interface Connection {
  readonly order: (order: Order) => void;
  readonly close: () => void;
}

function connect(state: ProcessState, adapter: FsAdapter, line: WorkerLine): Connection {
  return line.isMain ? listenToWorkers(state, adapter, line) : tellMain(state, line);
}

function listenToWorkers(
  state: ProcessState,
  adapter: FsAdapter,
  { open }: WorkerLine,
): Connection {
  const ears = open("to-main", (message) => {
    const { realm, news } = message as WorkerNews;
    for (const one of news) hear(state, adapter, realm, one);
  });
  const mouth = open("to-workers", () => {});
  const order = (what: Order): void => mouth.send(what);
  order("tell me");
  return {
    order,
    close() {
      ears.close();
      mouth.close();
    },
  };
}

/**
 * Tells of the files that outlive a turn of the event loop, once a turn. Each time over an end of its own: one that stayed open
 * would hear what all the other workers say.
 */
function tellMain(state: ProcessState, { open }: WorkerLine): Connection {
  const realm = crypto.randomUUID();
  const untold = new Map<number, TempNews>();
  const tell = (): void => {
    const news = [...untold.values()];
    untold.clear();
    if (news.length === 0) return;
    const mouth = open("to-main", () => {});
    mouth.send({ realm, news } satisfies WorkerNews);
    mouth.close();
  };
  state.announce = (one) => {
    // Come and gone in one turn: nobody needs to know.
    if (one.path === undefined && untold.delete(one.id)) return;
    if (untold.size === 0) queueMicrotask(tell);
    untold.set(one.id, one);
  };
  const announceAll = (): void => {
    for (const { id, path, boundary, inode } of state.temps.values()) {
      state.announce?.({ id, path, boundary, inode });
    }
  };
  const ears = open("to-workers", (order) => {
    if (order === "tell me") announceAll();
    else cleanUp(state, "idle");
  });
  announceAll();
  return {
    order() {},
    close() {
      state.announce = undefined;
      ears.close();
    },
  };
}

/** A worker has a file, or has it no more. */
function hear(
  state: ProcessState,
  adapter: FsAdapter,
  realm: string,
  { id, path, boundary, inode }: TempNews,
): void {
  const key = `${realm} ${id}`;
  if (path === undefined) {
    state.foreignTemps.delete(key);
    return;
  }
  const { pid } = adapter.process;
  state.foreignTemps.set(key, { id, path, adapter, pid, boundary, inode, inUse: false });
}

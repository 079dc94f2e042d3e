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

/** What a signal does. */
export type SignalMode = "delete" | "delete-and-restore-default" | "none";

/** The signals that end a process which does not listen for them (signal(7)). */
export type TerminationSignal = "SIGTERM" | "SIGINT" | "SIGQUIT" | "SIGHUP";

/** Which handlers to install. */
export interface SignalHandlerOptions {
  /** The signals listened for. @default ["SIGTERM", "SIGINT", "SIGQUIT"] */
  readonly signals?: readonly TerminationSignal[];
  /** The file system whose process is meant. @default the runtime's own */
  readonly adapter?: FsAdapter;
}

/** Handlers that are installed. */
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
          line?.send("clean up");
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

/** What the realms of a process say to each other. */
type Message = "tell me" | "clean up" | ({ readonly realm: string } & TempNews);

/** Tells the main thread of our files, or hears of those of the workers. */
function connect(
  state: ProcessState,
  adapter: FsAdapter,
  { isMain, open }: WorkerLine,
): { readonly send: (message: Message) => void; readonly close: () => void } {
  const realm = crypto.randomUUID();
  const tellAll = (): void => {
    for (const entry of state.temps.values()) state.announce?.(entry);
  };
  const channel = open((data) => {
    const message = data as Message;
    if (typeof message === "object") {
      if (isMain) hear(state, adapter, message);
    } else if (!isMain) {
      if (message === "tell me") tellAll();
      else cleanUp(state, "idle");
    }
  });
  if (isMain) {
    channel.send("tell me" satisfies Message);
  } else {
    state.announce = ({ id, path, boundary, inode }) =>
      channel.send({ realm, id, path, boundary, inode });
    tellAll();
  }
  return {
    send: channel.send,
    close() {
      state.announce = undefined;
      channel.close();
    },
  };
}

/** A worker has a file, or has it no more. */
function hear(
  state: ProcessState,
  adapter: FsAdapter,
  { realm, id, path, boundary, inode }: { readonly realm: string } & TempNews,
): void {
  const key = `${realm} ${id}`;
  if (path === undefined) {
    state.foreignTemps.delete(key);
    return;
  }
  const { pid } = adapter.process;
  state.foreignTemps.set(key, { id, path, adapter, pid, boundary, inode, inUse: false });
}

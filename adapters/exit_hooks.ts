/** How the runtimes end: signals, the exit events, and the line between workers and the main thread. */

import process from "node:process";
import type { ExitHooks, WorkerLine } from "../src/base/fs_adapter.ts";

/** Node and Bun: the event `exit` comes at every end but a signal's, and signals come to the main thread alone. */
export const nodeExits: ExitHooks = {
  onSignal(signal, listener) {
    process.on(signal as NodeJS.Signals, listener);
    return () => void process.off(signal as NodeJS.Signals, listener);
  },
  countListeners: (signal) => process.listenerCount(signal),
  raise: (signal) => void process.kill(process.pid, signal),
  onExit(listener) {
    process.on("exit", listener);
    return () => void process.off("exit", listener);
  },
  get workers() {
    return workerLine();
  },
};

/**
 * Deno: its `exit` does not come at Deno.exit and uncaught errors, but `unload` does at the first and `error` and
 * `unhandledrejection` before the others. (Signals come to workers as well, but a listener there keeps the main thread's from ending the process.)
 */
export const denoExits: ExitHooks = {
  ...nodeExits,
  onExit(listener) {
    const stopExit = nodeExits.onExit(listener);
    const uncaught = (event: Event): void => {
      const handled = event.type === "error" ? "uncaughtException" : "unhandledRejection";
      if (!event.defaultPrevented && process.listenerCount(handled) === 0) listener();
    };
    const events = { unload: listener, error: uncaught, unhandledrejection: uncaught };
    for (const [name, call] of Object.entries(events)) globalThis.addEventListener(name, call);
    return () => {
      stopExit();
      for (const [name, call] of Object.entries(events)) globalThis.removeEventListener(name, call);
    };
  },
};

function workerLine(): WorkerLine {
  const threads = process.getBuiltinModule("node:worker_threads");
  return {
    isMain: threads.isMainThread && !("WorkerGlobalScope" in globalThis),
    open(topic, receive) {
      // This one can be told not to keep the process alive, in Deno too. It reaches the threads of this process.
      const channel = new threads.BroadcastChannel(`@crashsafe/fs/${topic}/1`);
      channel.onmessage = (event: unknown) => receive((event as { data: unknown }).data);
      channel.unref();
      return {
        send: (message) => channel.postMessage(message),
        close: () => channel.close(),
      };
    },
  };
}

// A worker with a temporary file; or the main thread of such workers.

import { createTempFileSync, installSignalHandlers } from "@crashsafe/fs";
import process from "node:process";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";

const [dir = "", count = "1", work = "hold"] = process.argv.slice(2);

if (isMainThread) {
  installSignalHandlers("delete-and-restore-default");
  for (let index = 0; index < Number(count); index++) {
    const worker = new Worker(new URL(import.meta.url), { workerData: { dir, work } });
    worker.on("message", () => ready++);
  }
  let ready = 0;
  const slot = globalThis as unknown as Record<symbol, { foreignTemps?: Map<string, unknown> }>;
  const timer = setInterval(() => {
    if (ready < Number(count)) return;
    const heardOf = slot[Symbol.for("@crashsafe/fs/state/1")]?.foreignTemps?.size ?? 0;
    if (work === "hold" && heardOf < ready) return;
    clearInterval(timer);
    console.log("ready");
  }, 1);
  createInterval();
} else {
  const data = workerData as { readonly dir: string; readonly work: string };
  installSignalHandlers("delete-and-restore-default");
  createTempFileSync(data.dir).writeSync("of a worker");
  parentPort?.postMessage("ready");
  if (data.work === "hold") {
    // A thread that is busy hears no signal.
    setTimeout(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0), 1);
  } else {
    for (;;) {
      createTempFileSync(data.dir).disposeSync();
      // Lets messages out.
      await new Promise((resolve) => setTimeout(resolve));
    }
  }
}

/** Keeps the main thread there. */
function createInterval(): void {
  setInterval(() => {}, 1_000);
}

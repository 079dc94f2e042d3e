// A worker that locks when it is told to.

import { FileLock } from "@crashsafe/fs";
import { parentPort } from "node:worker_threads";

let lock: FileLock | null = null;
parentPort?.on("message", ([what, path]: [string, string]) => {
  if (what === "try") {
    lock = FileLock.tryAcquireSync(path);
    parentPort?.postMessage(lock === null ? "busy" : "held");
  } else {
    lock?.releaseSync();
    parentPort?.postMessage("released");
  }
});

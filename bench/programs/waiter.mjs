// Waits for a lock again and again: `waiter.mjs MODULE PATH`. A line in begins a wait; a line of JSON out tells when the lock came,
// and what the waiting cost.

import process from "node:process";
import { createInterface } from "node:readline";

const [module, path] = process.argv.slice(2);
const { FileLock } = await import(module);
const clock = () => performance.timeOrigin + performance.now();

for await (const _ of createInterface({ input: process.stdin })) {
  const before = process.cpuUsage();
  const since = clock();
  const waiting = FileLock.acquire(path);
  console.log('"waiting"');
  const lock = await waiting;
  const came = clock();
  const { user, system } = process.cpuUsage(before);
  await lock.release();
  console.log(JSON.stringify({ came, coreShare: (user + system) / 1e3 / (came - since) }));
}

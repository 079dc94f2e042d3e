// Replaces on tmpfs with the processor idle before each: what is paid for code that has left the caches.

import { performance } from "node:perf_hooks";
import { makeFiles } from "./replace_job.mjs";

const BYTES = new Uint8Array(4096).fill(0x78);
const nobody = new Int32Array(new SharedArrayBuffer(4));

/** Answers { contender: microseconds }, medians of `rounds` in turn, each after a pause. */
export function idleJob(contenders, { directory, pauseMs, rounds }) {
  const [path] = makeFiles(directory, 1);
  const times = Object.fromEntries(contenders.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const { name, replace } of contenders) {
      if (pauseMs > 0) Atomics.wait(nobody, 0, 0, pauseMs);
      const begin = performance.now();
      replace(path, BYTES);
      times[name].push((performance.now() - begin) * 1000);
    }
  }
  return Object.fromEntries(
    Object.entries(times).map((
      [name, values],
    ) => [name, values.sort((a, b) => a - b)[rounds >> 1]]),
  );
}

// Removes what dead processes left.

import { performance } from "node:perf_hooks";

/** Answers { milliseconds } for all of `count`. */
export async function recoverJob(module, { name, directory, count }) {
  const { recoverStaleDirs, sweepOrphans } = await import(module);
  const begin = performance.now();
  const { removed } = name.startsWith("recover")
    ? await recoverStaleDirs(directory)
    : await sweepOrphans(directory);
  const milliseconds = performance.now() - begin;
  if (removed.length !== count) throw new Error(`${removed.length} of ${count} were removed`);
  return { milliseconds };
}

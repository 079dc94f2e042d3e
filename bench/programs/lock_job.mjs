// Acquires and releases a lock that nobody else wants.

import fs from "node:fs";
import { join } from "node:path";
import { performance } from "node:perf_hooks";

/** Answers { microseconds } for one acquire and release, after as many again to warm up. */
export async function lockJob({ form, make }, { directory, rounds }) {
  // proper-lockfile locks a file that exists, by a directory beside it; ours is the lock file.
  const path = join(directory, "locked");
  fs.writeFileSync(path, "");
  const once = make(path);
  const many = async () => {
    if (form === "sync") { for (let round = 0; round < rounds; round++) once(); }
    else for (let round = 0; round < rounds; round++) await once();
  };
  await many();
  const begin = performance.now();
  await many();
  return { microseconds: (performance.now() - begin) * 1000 / rounds };
}

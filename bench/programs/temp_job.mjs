// Makes temporary files and drops them, and the same system calls without a registry.

import fs from "node:fs";
import { join } from "node:path";
import { performance } from "node:perf_hooks";

/** Answers { raw, ours, named } in microseconds a file, while `alive` other temporary files are registered. */
export async function tempJob(module, { directory, rounds, alive }) {
  const { createTempFileSync, tempFileAtSync, systemAdapter } = await import(module);
  const { sync } = systemAdapter();
  const others = Array.from({ length: alive }, () => createTempFileSync(directory));
  const path = join(directory, "named");
  const jobs = {
    "open, flock, fstat, lstat, unlink, close": (round) => {
      const name = join(directory, `.tmp.${String(round).padStart(26, "0")}.cs1l`);
      const file = sync.open(name, {
        access: "read-write",
        create: "exclusive",
        noFollow: true,
        mode: 0o600,
        lockable: true,
      });
      sync.flock(file, "exclusive");
      sync.fstat(file);
      sync.lstat(name);
      sync.unlink(name);
      sync.close(file);
    },
    "createTempFileSync, disposeSync": () => createTempFileSync(directory).disposeSync(),
    "open, fstat, lstat, unlink, close": () => {
      const file = sync.open(path, {
        access: "read-write",
        create: "exclusive",
        noFollow: true,
        mode: 0o600,
      });
      sync.fstat(file);
      sync.lstat(path);
      sync.unlink(path);
      sync.close(file);
    },
    "tempFileAtSync, disposeSync": () => tempFileAtSync(path).disposeSync(),
    "node:fs: open, close, unlink": () => {
      const fd = fs.openSync(path, "wx+", 0o600);
      fs.closeSync(fd);
      fs.unlinkSync(path);
    },
  };
  const times = {};
  for (const [name, job] of Object.entries(jobs)) {
    for (let round = 0; round < rounds; round++) job(round);
    const begin = performance.now();
    for (let round = 0; round < rounds; round++) job(round);
    times[name] = (performance.now() - begin) * 1000 / rounds;
  }
  for (const file of others) file.disposeSync();
  return { times };
}

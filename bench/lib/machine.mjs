// What a reader has to know about the machine, and nothing that tells whose it is.

import { availableParallelism, release, type } from "node:os";

export function machineFacts(disks, runtimes) {
  return {
    // The rest of a release is the builder's.
    kernel: `${type()} ${/^\d+\.\d+/.exec(release())?.[0] ?? ""}`.trim(),
    cores: availableParallelism(),
    fileSystems: Object.fromEntries(disks.map(({ name, fileSystem }) => [name, fileSystem])),
    runtimes: Object.fromEntries(runtimes.map(({ name, version }) => [name, version])),
  };
}

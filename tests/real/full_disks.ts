/** File systems without a byte left: every way of writing is refused before its commit, leaves the old file and nothing else, and works again once there is room. */

import { test } from "node:test";
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { runProgram } from "../support/programs.ts";
import { skip, withMount } from "../support/root.ts";
import type { Runtime } from "../support/runtime.ts";
import { withTempDir } from "../support/temp_dir.ts";
import { withDisk } from "./disks.ts";
import { obstacle, report, RUNTIMES } from "./support.ts";

for (const on of RUNTIMES) {
  for (const fs of ["tmpfs", "ext4", "xfs"] as const) {
    test(`a full ${fs} refuses every way of writing on ${on}, and loses nothing`, (t) => {
      const reason = obstacle("mount", ...(fs === "tmpfs" ? [] : [`mkfs.${fs}`]));
      if (reason !== undefined) return skip(t, reason);
      return withTempDir((dir) => {
        mkdirSync(`${dir}/inputs`);
        if (fs === "tmpfs") {
          const args = ["-t", "tmpfs", "-o", "size=16m", "none"];
          return withMount(t, args, `${dir}/disk`, () => fillUp(on, fs, `${dir}/disk`, dir));
        }
        const size = fs === "ext4" ? 24 : 300;
        return withDisk(
          { fs, mount: "defaults", size },
          dir,
          ({ path }) => fillUp(on, fs, path, dir),
        );
      });
    });
  }
}

async function fillUp(on: Runtime, fs: string, disk: string, dir: string): Promise<void> {
  const { stdout, stderr, code } = await runProgram("tests/programs/full_disk", {
    on,
    args: [disk, `${dir}/inputs`],
  });
  assert.deepEqual([code, stderr], [0, ""]);
  assert.match(stdout, /^done$/m);
  report({
    what: `full ${fs} on ${on}`,
    "ways refused": stdout.match(/^refused /gm)?.length ?? 0,
    "old files lost": 0,
  });
}

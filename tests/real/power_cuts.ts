/**
 * Power cuts on real file systems: a program of each runtime publishes files on a loop device; the shutdown ioctl of the file system drops all that is not on the
 * device; after a remount each file must be a whole version, not older than the last one whose acknowledgement was read before the cut.
 */

import { test } from "node:test";
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { recoverStaleDirsSync, sweepOrphansSync } from "@crashsafe/fs";
import { skip } from "../support/root.ts";
import type { Runtime } from "../support/runtime.ts";
import { withTempDir } from "../support/temp_dir.ts";
import { Acknowledging, look, type Which } from "./acknowledged.ts";
import { type Disk, type Mounted, powerCutter, withDisk } from "./disks.ts";
import { obstacle, report, RUNTIMES } from "./support.ts";

const DISKS: readonly Disk[] = [
  { fs: "ext4", mount: "data=ordered" },
  { fs: "ext4", mount: "noauto_da_alloc" },
  { fs: "ext4", mount: "noauto_da_alloc,data=writeback" },
  { fs: "xfs", mount: "defaults" },
];

/** Each takes the power from three programs. */
const CUTS = 8;

for (const disk of DISKS) {
  const name = `${disk.fs} (${disk.mount})`;
  const reason = obstacle(`mkfs.${disk.fs}`, "mount");

  test(`a power cut on ${name} loses nothing that was acknowledged`, (t) => {
    if (reason !== undefined) return skip(t, reason);
    return withTempDir((dir) =>
      withDisk(disk, dir, async (mounted) => {
        const sum = { promises: 0, files: 0, removed: 0 };
        const plain = { files: 0, torn: 0, lost: 0 };
        for (let cut = 0; cut < CUTS; cut++) {
          const [careless, ...programs] = await cutPower(mounted, dir, [
            ["node", "plain"],
            ...RUNTIMES.map((on) => [on, "all"] as const),
          ], 100);
          for (const program of programs) {
            const { files, violations } = look(program);
            assert.deepEqual(violations, [], `${program.on} on ${name}`);
            sum.promises += program.count;
            sum.files += files;
            sum.removed += recovered(program);
          }
          if (careless === undefined) continue;
          const { violations } = look(careless);
          const torn = violations.filter((one) => one.includes("torn")).length;
          plain.files += careless.wrote.size;
          plain.torn += torn;
          plain.lost += violations.length - torn;
        }
        assert.ok(plain.torn + plain.lost > 0, "fs.writeFile gets away with it");
        report({
          what: `power cuts on ${name}`,
          "programs cut": CUTS * RUNTIMES.length,
          acknowledgements: sum.promises,
          "files compared": sum.files,
          "torn or lost": 0,
          "removed by the recovery": sum.removed,
          "beside them, files of fs.writeFile": plain.files,
          "empty or torn": plain.torn,
          "older than promised": plain.lost,
        });
      })
    );
  });

  for (const durability of ["none", "file"] as const) {
    test(`a power cut on ${name} loses what durability "${durability}" acknowledged: the check has teeth`, (t) => {
      if (reason !== undefined) return skip(t, reason);
      return withTempDir((dir) =>
        withDisk(disk, dir, async (mounted) => {
          const violations: string[] = [];
          for (let cut = 0; cut < CUTS && violations.length === 0; cut++) {
            const those = RUNTIMES.map((on) => [on, durability] as const);
            for (const program of await cutPower(mounted, dir, those, 20)) {
              violations.push(...look(program).violations);
            }
          }
          assert.notDeepEqual(violations, []);
          console.log(`${name}, ${durability}: ${violations[0]}`);
        })
      );
    });
  }
}

let rounds = 0;

/** Starts programs, cuts the power at a moment that nobody has chosen after some promises of each, and mounts again. */
async function cutPower(
  mounted: Mounted,
  dir: string,
  which: readonly (readonly [Runtime, Which])[],
  promises: number,
): Promise<readonly Acknowledging[]> {
  const cut = await powerCutter();
  const round = `round-${rounds++}`;
  const programs = which.map(([on, what]) => {
    const place = `${round}/${on}-${what}`;
    return new Acknowledging(on, `${mounted.path}/${place}`, `${dir}/${place}`, what);
  });
  await Promise.all(programs.map((program) => program.promised(promises)));
  await new Promise((resolve) => setTimeout(resolve, Math.random() * 100));
  cut(mounted.path);
  for (const program of programs) program.stopListening();
  for (const program of programs) {
    await program.kill();
    assert.ok(program.count >= promises, program.failed.join(", "));
  }
  mounted.unmount();
  mounted.mount();
  return programs;
}

/** The recovery that a user would make. Answers how much it removed; afterwards nothing is left but what was published. */
function recovered({ dir }: Acknowledging): number {
  const sweep = sweepOrphansSync(dir, { minAgeMs: 0 });
  const root = readdirSync(dir).includes("root") ? recoverStaleDirsSync(`${dir}/root`) : undefined;
  assert.deepEqual([sweep.failed, sweep.live, sweep.kept], [[], [], []]);
  assert.deepEqual([root?.failed ?? [], root?.live ?? [], root?.ignored ?? []], [[], [], []]);
  const strange = readdirSync(dir).filter((name) => name.startsWith("."));
  assert.deepEqual(strange, []);
  // git's protocol: a lock file stays until somebody who knows removes it.
  const locks = readdirSync(dir).filter((name) => name.endsWith(".lock"));
  assert.ok(locks.length <= 1);
  return sweep.removed.length + (root?.removed.length ?? 0);
}

/**
 * Devices that die under a file system: its image lies on another file system, whose power is cut, so that every request to the loop device ends with EIO.
 * Nobody ends the programs: they go on until everything has failed, and what they acknowledge after the death counts like what they acknowledged before it.
 */

import { test } from "node:test";
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { skip } from "../support/root.ts";
import { withTempDir } from "../support/temp_dir.ts";
import { Acknowledging, look } from "./acknowledged.ts";
import { type Disk, powerCutter, withDisk } from "./disks.ts";
import { obstacle, report, RUNTIMES } from "./support.ts";

const OUTER: Disk = { fs: "ext4", mount: "defaults", size: 900 };
const INNER: readonly Disk[] = [
  { fs: "ext4", mount: "data=ordered" },
  { fs: "xfs", mount: "defaults" },
];

/** What a file system answers when its device is gone. XFS says EUCLEAN, ext4 EROFS, after the first EIO. */
const FAILURE =
  /^\S+ (PublishError|DurabilityUnknownError|GroupPublishError|CrashSafeError|PersistError|Error) (EIO|EROFS|EUCLEAN|ESHUTDOWN)$/;

/** Terminals, groups and the others of tests/programs/acknowledging.ts. */
const WAYS = 17;

for (const disk of INNER) {
  const name = `${disk.fs} (${disk.mount})`;
  test(`a device that dies under ${name} fails every way of writing, and nothing acknowledged is lost`, (t) => {
    const reason = obstacle("mkfs.ext4", `mkfs.${disk.fs}`, "mount");
    if (reason !== undefined) return skip(t, reason);
    return withTempDir(async (dir) => {
      const die = await powerCutter();
      await withDisk(OUTER, dir, async (outer) => {
        mkdirSync(`${outer.path}/inner`);
        await withDisk(disk, `${outer.path}/inner`, async (inner) => {
          const programs = RUNTIMES.map((on) =>
            new Acknowledging(on, `${inner.path}/${on}`, `${dir}/inputs/${on}`, "all")
          );
          spawnSync("sync", ["--file-system", outer.path]);
          await Promise.all(programs.map((program) => program.promised(100)));
          die(outer.path);
          for (const program of programs) await endsByItself(program);
          inner.unmount();
          outer.unmount();
          outer.mount();
          inner.mount();
          const looked = programs.map(look);
          assert.deepEqual(looked.flatMap(({ violations }) => violations), []);
          report({
            what: `device death under ${name}`,
            programs: programs.length,
            acknowledgements: sum(programs.map(({ count }) => count)),
            "ways that failed": sum(programs.map(({ failed }) => failed.length)),
            "files compared": sum(looked.map(({ files }) => files)),
            "torn or lost": 0,
          });
        });
      });
    });
  });
}

/** With errors of ours, and of every way. */
async function endsByItself(program: Acknowledging): Promise<void> {
  const { code, signal, stderr } = await program.outcome;
  assert.deepEqual([code, signal, stderr], [0, null, ""], program.on);
  assert.deepEqual(program.failed.filter((line) => !FAILURE.test(line)), [], program.on);
  assert.equal(program.failed.length, WAYS, program.failed.join(", "));
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0);
}

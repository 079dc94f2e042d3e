import { test } from "node:test";
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync, truncateSync, writeFileSync } from "node:fs";
import { AtomicFile, systemAdapter } from "@crashsafe/fs";
import { FaultFs } from "@crashsafe/fs/testing";
import { command, skip, withMount } from "../support/root.ts";
import { withTempDir } from "../support/temp_dir.ts";

test("copyFrom shares the blocks where the file system can, and copies them where it cannot", (t) =>
  withTempDir((dir) => {
    if (!systemAdapter().capabilities.clone) return;
    writeFileSync(`${dir}/image`, "");
    truncateSync(`${dir}/image`, 320 << 20);
    if (!command("mkfs.xfs", ["-q", "-m", "reflink=1", `${dir}/image`])) {
      return skip(t, "no mkfs.xfs here");
    }
    return withMount(t, ["-o", "loop", `${dir}/image`], `${dir}/disk`, async () => {
      const content = "shared ".repeat(100_000);
      writeFileSync(`${dir}/disk/source`, content);
      for (const colour of ["async", "sync"] as const) {
        const adapter = new FaultFs(systemAdapter());
        const file = new AtomicFile(`${dir}/disk/${colour}`, { adapter, mode: 0o640 });
        const receipt = colour === "sync"
          ? file.copyFromSync(`${dir}/disk/source`)
          : await file.copyFrom(`${dir}/disk/source`);
        assert.equal(receipt.bytes, content.length);
        assert.equal(receipt.mode, 0o640);
        assert.equal(readFileSync(`${dir}/disk/${colour}`, "utf8"), content);
        assert.doesNotMatch(adapter.trace(), /write/, adapter.story());
        const extents = spawnSync("filefrag", ["-v", `${dir}/disk/${colour}`], {
          encoding: "utf8",
        });
        if (extents.status === 0) assert.match(extents.stdout, /shared/);
      }
      const adapter = new FaultFs(systemAdapter());
      await new AtomicFile(`${dir}/elsewhere`, { adapter }).copyFrom(`${dir}/disk/source`);
      assert.match(adapter.trace(), /clone read .*write/);
      assert.equal(readFileSync(`${dir}/elsewhere`, "utf8"), content);
    });
  }));

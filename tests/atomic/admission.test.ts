import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { atomicWrite, systemAdapter } from "@crashsafe/fs";
import { FaultFs, type FaultRule } from "@crashsafe/fs/testing";
import { withTempDir } from "../support/temp_dir.ts";

/** Its clock moves so quickly that every write that does not begin at once waits for a turn of the event loop. */
function hurried(rules: readonly FaultRule[] = []): FaultFs {
  const inner = systemAdapter();
  let now = 0;
  const process = { ...inner.process, realm: {}, now: () => now++ };
  return new FaultFs(Object.create(inner, { process: { value: process } }), rules);
}

describe("writes that begin together", () => {
  test("have at most 256 files and directories open", () =>
    withTempDir(async (dir) => {
      const adapter = hurried();
      let most = 0;
      const writes = Array.from({ length: 600 }, async (_, index) => {
        await atomicWrite(`${dir}/${index}`, "x", { adapter });
        most = Math.max(most, adapter.openHandles);
      });
      await Promise.all(writes);
      assert.ok(most > 1 && most <= 256, `${most} were open`);
      assert.equal(readdirSync(dir).length, 600);
      assert.equal(adapter.openHandles, 0);
    }));

  test("keep no room for one that could not begin", () =>
    withTempDir(async (dir) => {
      const adapter = hurried([{ kinds: ["sleep"], errno: "EINTR", times: "always" }]);
      const outcomes = await Promise.allSettled(
        Array.from({ length: 300 }, (_, index) => atomicWrite(`${dir}/${index}`, "x", { adapter })),
      );
      const begun = outcomes.filter(({ status }) => status === "fulfilled").length;
      assert.ok(begun >= 1 && begun < 300, `${begun} began`);
      // More of them failed than may be at work: one that kept its room would keep this one waiting for ever.
      await atomicWrite(`${dir}/last`, "x", { adapter });
      const more = await Promise.allSettled(
        [1, 2].map((one) => atomicWrite(`${dir}/more-${one}`, "x", { adapter })),
      );
      assert.equal(more[0]?.status, "fulfilled");
      assert.equal(readdirSync(dir).length, begun + 2);
    }));
});

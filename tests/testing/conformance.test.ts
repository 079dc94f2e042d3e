import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { conformanceChecks, FaultFs, MemoryFs } from "@crashsafe/fs/testing";
import { systemAdapter } from "@crashsafe/fs";
import { withTempDir } from "../support/temp_dir.ts";

const adapter = systemAdapter();

describe(`the ${adapter.name} adapter`, () => {
  for (const check of conformanceChecks) {
    test(check.name, (t) =>
      withTempDir(async (directory) => {
        const skipped = await check.run({ adapter, directory });
        if (skipped !== undefined) t.skip(skipped);
      }));
  }
});

describe("MemoryFs and a process of it", () => {
  for (const check of conformanceChecks) {
    test(check.name, async () => {
      for (const memory of [new MemoryFs(), new MemoryFs({ reuseInodes: true }).spawn()]) {
        memory.sync.mkdir("/work", 0o777);
        assert.equal(await check.run({ adapter: memory, directory: "/work" }), undefined);
        assert.equal(memory.openHandles, 0);
      }
    });
  }
});

describe("FaultFs without faults", () => {
  for (const check of conformanceChecks) {
    test(check.name, () =>
      withTempDir(async (directory) => {
        const faults = new FaultFs(adapter);
        await check.run({ adapter: faults, directory });
        assert.equal(faults.openHandles, 0, faults.story());
      }));
  }
});

test("the conformance suite finds an adapter that breaks its word", () =>
  withTempDir(async (directory) => {
    const careless = new FaultFs(adapter);
    Object.assign(careless.sync, {
      link: (from: string, to: string) => adapter.sync.rename(from, to),
    });
    const check = conformanceChecks.find((one) => one.name.startsWith("link"));
    await assert.rejects(async () => await check?.run({ adapter: careless, directory }));
  }));

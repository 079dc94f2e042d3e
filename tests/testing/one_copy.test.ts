import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { PublishError, systemAdapter } from "@crashsafe/fs";
import { FaultFs } from "@crashsafe/fs/testing";
import * as defaults from "../../src/base/default_adapter.ts";
import * as errors from "../../src/base/errors.ts";
import * as faults from "../../testing/fault_fs.ts";

describe("internals that a test imports", () => {
  test("are the modules that the package itself runs, not a second copy", () => {
    assert.equal(errors.PublishError, PublishError);
    assert.equal(faults.FaultFs, FaultFs);
    assert.equal(defaults.systemAdapter, systemAdapter);
  });
});

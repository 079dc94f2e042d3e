import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { readdirSync, readFileSync, symlinkSync } from "node:fs";
import { AtomicFile, atomicWrite, type AtomicWriteOptions, atomicWriteSync } from "@crashsafe/fs";
import { withTempDir } from "../support/temp_dir.ts";

const FAIL: AtomicWriteOptions = { existing: "fail" };

describe("existing: fail in one process", () => {
  test("exactly one of 32 writers at once wins, the first, and the others leave nothing", () =>
    withTempDir(async (dir) => {
      const outcomes = await Promise.allSettled(
        Array.from({ length: 32 }, (_, index) => atomicWrite(`${dir}/a`, `${index}`, FAIL)),
      );
      const codes = outcomes.map((one) => one.status === "rejected" ? one.reason.code : "won");
      assert.deepEqual(codes, ["won", ...Array(31).fill("EEXIST")]);
      assert.equal(readFileSync(`${dir}/a`, "utf8"), "0");
      assert.deepEqual(readdirSync(dir), ["a"]);
    }));

  test("two spellings of one path are two queues, and still exactly one wins", () =>
    withTempDir(async (dir) => {
      symlinkSync(".", `${dir}/alias`);
      const outcomes = await Promise.allSettled([
        atomicWrite(`${dir}/a`, "direct", FAIL),
        atomicWrite(`${dir}/alias/a`, "alias", FAIL),
      ]);
      assert.deepEqual(outcomes.map((one) => one.status).toSorted(), ["fulfilled", "rejected"]);
      const winner = outcomes.findIndex((one) => one.status === "fulfilled");
      assert.equal(readFileSync(`${dir}/a`, "utf8"), ["direct", "alias"][winner]);
      assert.deepEqual(readdirSync(dir).toSorted(), ["a", "alias"]);
    }));

  test("a writer that a synchronous one overtakes has not won", () =>
    withTempDir(async (dir) => {
      for (const existing of ["fail", "replace"] as const) {
        const path = `${dir}/${existing}`;
        const waiting = [atomicWrite(path, "one", FAIL), atomicWrite(path, "two", FAIL)];
        atomicWriteSync(path, "synchronous", { existing });
        const outcomes = await Promise.allSettled(waiting);
        assert.deepEqual(
          outcomes.map((one) => one.status === "rejected" ? one.reason.code : one.value),
          ["EEXIST", "EEXIST"],
        );
        assert.equal(readFileSync(path, "utf8"), "synchronous");
      }
      assert.deepEqual(readdirSync(dir).toSorted(), ["fail", "replace"]);
    }));

  test("the file of a winner has one name, and the receipt no leftover", () =>
    withTempDir(async (dir) => {
      const receipts = [
        await new AtomicFile(`${dir}/made/a`, FAIL).write("x"),
        new AtomicFile(`${dir}/made/b`, FAIL).writeSync("x"),
      ];
      for (const receipt of receipts) {
        assert.equal(receipt.leftover, undefined);
        assert.equal(receipt.durability, "full");
        assert.deepEqual(receipt.lost, []);
      }
      assert.deepEqual(readdirSync(`${dir}/made`).toSorted(), ["a", "b"]);
    }));

  test("a dangling link that is followed is created where it leads, once", () =>
    withTempDir((dir) => {
      symlinkSync("far/away/target", `${dir}/link`);
      const file = new AtomicFile(`${dir}/link`, FAIL);
      assert.equal(file.writeSync("made").path, `${dir}/far/away/target`);
      assert.equal(readFileSync(`${dir}/link`, "utf8"), "made");
      assert.throws(() => file.writeSync("again"), { code: "EEXIST" });
      assert.deepEqual(readdirSync(`${dir}/far/away`), ["target"]);
    }));
});

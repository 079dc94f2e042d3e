import { describe } from "node:test";
import assert from "node:assert/strict";
import { chmodSync, closeSync, mkdirSync, openSync, writeFileSync } from "node:fs";
import process from "node:process";
import { findFlockProgram, type FlockProgram } from "../../adapters/flock_program.ts";
import { testWhere } from "../support/runtime.ts";
import { withTempDir } from "../support/temp_dir.ts";

const LINUX = process.platform === "linux";
const VERSION = 'if [ "$1" = --version ]; then echo "flock from util-linux 2.38.1"; exit 0; fi';

/** A shell script under the name flock, first on the PATH, and a descriptor to lock. */
async function withProgram(
  script: string | undefined,
  use: (found: FlockProgram | undefined, fd: number) => unknown,
): Promise<void> {
  await withTempDir(async (dir) => {
    const path = process.env["PATH"];
    mkdirSync(`${dir}/bin`);
    if (script !== undefined) {
      writeFileSync(`${dir}/bin/flock`, `#!/bin/sh\n${script}\n`);
      chmodSync(`${dir}/bin/flock`, 0o755);
    }
    const fd = openSync(`${dir}/file`, "w");
    process.env["PATH"] = script === undefined ? `${dir}/bin` : `${dir}/bin:${path}`;
    try {
      await use(findFlockProgram(), fd);
    } finally {
      process.env["PATH"] = path;
      closeSync(fd);
    }
  });
}

describe("the program flock(1)", () => {
  testWhere(LINUX, "is not there when it is missing, or when it is another one", async () => {
    await withProgram(undefined, (found) => assert.equal(found, undefined));
    await withProgram("echo BusyBox v1.36", (found) => assert.equal(found, undefined));
    await withProgram("exit 1", (found) => assert.equal(found, undefined));
  });

  for (
    const [code, words] of [["ENOLCK", "No locks available"], [
      "ENOTSUP",
      "Operation not supported",
    ]]
  ) {
    testWhere(
      LINUX,
      `that fails with "${words}" is an ${code}, in every call`,
      () =>
        withProgram(`${VERSION}; echo "flock: 3: ${words}" >&2; exit 69`, async (found, fd) => {
          const wanted = { code, message: `${code}: flock(1) failed: flock: 3: ${words}` };
          assert.throws(() => found?.flock(fd, "exclusive"), wanted);
          assert.throws(() => found?.funlock(fd), wanted);
          const waiting = found?.flockWait(fd, "shared", new AbortController().signal);
          await assert.rejects(waiting ?? Promise.resolve(), wanted);
        }),
    );
  }

  testWhere(
    LINUX,
    "that is killed, or says nothing that is known, is an EIO, never a lock",
    () =>
      withProgram(`${VERSION}; kill -9 $$`, async (found, fd) => {
        assert.throws(() => found?.flock(fd, "exclusive"), { code: "EIO" });
        const waiting = found?.flockWait(fd, "exclusive", new AbortController().signal);
        await assert.rejects(waiting ?? Promise.resolve(), { code: "EIO" });
      }),
  );

  testWhere(LINUX, "is busy only when it says nothing", async () => {
    await withProgram(`${VERSION}; exit 1`, (found, fd) => {
      assert.equal(found?.flock(fd, "exclusive"), false);
    });
    await withProgram(`${VERSION}; echo "flock: out of memory" >&2; exit 1`, (found, fd) => {
      assert.throws(() => found?.flock(fd, "exclusive"), { code: "EIO" });
    });
  });

  testWhere(
    LINUX,
    "that waits is ended by a signal",
    () =>
      withProgram(`${VERSION}; exec sleep 1000`, async (found, fd) => {
        const controller = new AbortController();
        const waiting = found?.flockWait(fd, "exclusive", controller.signal);
        controller.abort();
        assert.equal(await waiting, false);
        assert.equal(await found?.flockWait(fd, "exclusive", controller.signal), false);
      }),
  );
});

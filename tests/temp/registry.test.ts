import { test } from "node:test";
import assert from "node:assert/strict";
import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { rmSync } from "node:fs";
import { dirname } from "node:path";
import { pathToFileURL } from "node:url";
import {
  AtomicFile,
  cleanupTempFiles,
  createTempFile,
  createTempFileSync,
  installSignalHandlers,
  systemAdapter,
  tempFileAtSync,
} from "@crashsafe/fs";
import { FaultFs, MemoryFs } from "@crashsafe/fs/testing";
import { projectFile } from "../support/programs.ts";
import { withTempDir } from "../support/temp_dir.ts";

test("a cleanup removes files and the parents that became empty, and answers what it removed", () =>
  withTempDir((dir) => {
    const one = createTempFileSync(dir);
    const two = tempFileAtSync(`${dir}/a/b/file`, {
      containingDirectory: "create",
      autoRemove: { emptyParentsUntil: dir },
    });
    assert.deepEqual(cleanupTempFiles(), [one.path, two.path]);
    assert.deepEqual(readdirSync(dir), []);
    assert.deepEqual(cleanupTempFiles(), []);
    one.disposeSync();
    two.disposeSync();
  }));

test("a cleanup leaves what is being written, and what was published", () =>
  withTempDir(async (dir) => {
    const adapter = new FaultFs(systemAdapter(), [{
      kinds: ["write"],
      delayMs: 5,
      times: "always",
    }]);
    const file = createTempFileSync(dir, { adapter });
    const writing = file.write("in use");
    const publishing = new AtomicFile(`${dir}/published`, { adapter }).write("whole");
    await Promise.resolve();
    assert.deepEqual(cleanupTempFiles(), []);
    await writing;
    await publishing;
    assert.deepEqual(cleanupTempFiles(), [file.path]);
    assert.equal(readFileSync(`${dir}/published`, "utf8"), "whole");
    file.disposeSync();
  }));

test("ids are never used again", () =>
  withTempDir(async (dir) => {
    const ids = new Set<number>();
    for (let round = 0; round < 20; round++) {
      const file = await createTempFile(dir);
      ids.add(file.id);
      if (round % 2 === 0) cleanupTempFiles();
      await file.dispose();
    }
    assert.equal(ids.size, 20);
  }));

test("a cleanup and a dispose leave another file that has taken the name", () =>
  withTempDir((dir) => {
    for (const end of ["cleanup", "dispose"]) {
      const file = tempFileAtSync(`${dir}/name`);
      rmSync(file.path);
      writeFileSync(file.path, "a stranger's");
      if (end === "cleanup") assert.deepEqual(cleanupTempFiles(), []);
      file.disposeSync();
      assert.equal(readFileSync(file.path, "utf8"), "a stranger's");
      rmSync(file.path);
    }
  }));

test("what cannot be removed stays registered, and the error tells", () => {
  const disk = new MemoryFs();
  const adapter = new FaultFs(disk, [
    { kinds: ["unlink"], errno: "EACCES", nth: 1 },
    { kinds: ["unlink"], errno: "EACCES", nth: 2 },
  ]);
  const file = createTempFileSync("/", { adapter });
  assert.deepEqual(cleanupTempFiles({ adapter }), []);
  assert.throws(() => file.disposeSync(), { code: "EACCES", leftover: file.path });
  assert.equal(adapter.openHandles, 0);
  assert.deepEqual(cleanupTempFiles({ adapter }), [file.path]);
  assert.equal(disk.now().size, 0);
});

test("two copies of the package share one registry and one set of handlers", () =>
  withTempDir(async (dir) => {
    const root = dirname(projectFile("src/public")).replace(/\/src$/, "");
    for (const part of ["src", "adapters"]) {
      cpSync(`${root}/${part}`, `${dir}/copy/${part}`, { recursive: true, dereference: true });
    }
    symlinkSync(`${root}/node_modules`, `${dir}/copy/node_modules`);
    const ending = projectFile("src/public").endsWith(".ts") ? ".ts" : ".js";
    const copy = await import(pathToFileURL(`${dir}/copy/src/public${ending}`).href);
    assert.notEqual(copy.createTempFileSync, createTempFileSync);
    mkdirSync(`${dir}/files`);
    const adapter = systemAdapter();
    const ours = createTempFileSync(`${dir}/files`);
    const theirs = copy.createTempFileSync(`${dir}/files`, { adapter });
    assert.equal(theirs.id, ours.id + 1);
    assert.deepEqual(copy.cleanupTempFiles({ adapter }), [ours.path, theirs.path]);
    ours.disposeSync();
    theirs.disposeSync();
    const exits = adapter.process.exits ?? assert.fail();
    const before = exits.countListeners("SIGTERM");
    const first = installSignalHandlers("delete");
    const second = copy.installSignalHandlers("delete", { adapter });
    assert.equal(exits.countListeners("SIGTERM"), before + 1);
    // Not the last ones any more: nothing to take away.
    first.uninstall();
    assert.equal(exits.countListeners("SIGTERM"), before + 1);
    second.uninstall();
    assert.equal(exits.countListeners("SIGTERM"), before);
  }));

test("installing handlers is refused for what is no mode or signal, and undone by none", () => {
  const exits = systemAdapter().process.exits ?? assert.fail();
  const count = (): number[] =>
    ["SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP"].map((signal) => exits.countListeners(signal));
  const before = count();
  assert.throws(() => installSignalHandlers("all" as "none"), TypeError);
  assert.throws(
    () => installSignalHandlers("delete", { signals: ["SIGKILL" as "SIGHUP"] }),
    TypeError,
  );
  assert.throws(() => installSignalHandlers("delete", { adapter: new MemoryFs() }), {
    code: "Unsupported",
  });
  assert.deepEqual(count(), before);
  installSignalHandlers("delete");
  assert.deepEqual(count(), before.map((one, index) => index < 3 ? one + 1 : one));
  installSignalHandlers("delete-and-restore-default", { signals: ["SIGHUP"] });
  assert.deepEqual(count(), before.map((one, index) => index < 3 ? one : one + 1));
  installSignalHandlers("none")[Symbol.dispose]();
  assert.deepEqual(count(), before);
});

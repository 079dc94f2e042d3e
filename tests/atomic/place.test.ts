import { describe, test } from "node:test";
import assert from "node:assert/strict";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import {
  AtomicFile,
  atomicWrite,
  atomicWriteSync,
  readVerified,
  readVerifiedSync,
  systemAdapter,
} from "@crashsafe/fs";
import { processState } from "../../src/base/process_state.ts";
import { command, skip } from "../support/root.ts";
import { terminals } from "../support/terminals.ts";
import { withTempDir } from "../support/temp_dir.ts";

describe("URLs", () => {
  test("are unescaped as URLs, and text is not", () =>
    withTempDir(async (dir) => {
      await atomicWrite(new URL(`file://${dir}/with%20space%25%0A%C3%BC`), "x");
      atomicWriteSync(`${dir}/with%20space`, "x");
      assert.deepEqual(readdirSync(dir).toSorted(), ["with space%\nü", "with%20space"].toSorted());
    }));

  test("that name no file are refused before anything is touched", () =>
    withTempDir(async (dir) => {
      const base = `file://${dir}/made`;
      const bad = [
        `${base}/a%2Fb`,
        `${base}/a%00b`,
        `${base}/`,
        "file://another-host/a",
        "data:text/plain,x",
        "node:fs",
      ];
      for (const href of bad) {
        const url = new URL(href);
        assert.throws(() => new AtomicFile(url), TypeError, href);
        assert.throws(() => atomicWriteSync(url, "x"), TypeError, href);
        await assert.rejects(atomicWrite(url, "x"), TypeError, href);
        await assert.rejects(readVerified(url, "00".repeat(16)), TypeError, href);
        if (href.endsWith("/")) continue;
        const file = new AtomicFile(`${dir}/made/a`);
        await assert.rejects(file.copyFrom(url), TypeError, href);
        assert.throws(() => file.concatFromSync([url]), TypeError, href);
      }
      assert.deepEqual(readdirSync(dir), []);
    }));

  test("name sources, too", () =>
    withTempDir(async (dir) => {
      writeFileSync(`${dir}/so urce`, "x");
      const source = new URL(`file://${dir}/so%20urce`);
      assert.equal((await new AtomicFile(`${dir}/a`).copyFrom(source)).bytes, 1);
      assert.equal(new AtomicFile(`${dir}/a`).concatFromSync([source, source]).bytes, 2);
    }));
});

describe("symbolic links", () => {
  test("a relative one behind a linked directory leads on from where it really is", () =>
    withTempDir((dir) => {
      mkdirSync(`${dir}/real/inner`, { recursive: true });
      symlinkSync("real/inner", `${dir}/shortcut`);
      symlinkSync("../file", `${dir}/real/inner/link`);
      atomicWriteSync(`${dir}/shortcut/link`, "x");
      assert.equal(readFileSync(`${dir}/real/file`, "utf8"), "x");
      assert.ok(!existsSync(`${dir}/file`));
      assert.deepEqual(readdirSync(`${dir}/real/inner`), ["link"]);
    }));

  test("40 in a row are followed, 41 are a loop, as the kernel counts", () =>
    withTempDir((dir) => {
      writeFileSync(`${dir}/0`, "old");
      for (let link = 1; link <= 41; link++) symlinkSync(`${link - 1}`, `${dir}/${link}`);
      assert.equal(atomicWriteSync(`${dir}/40`, "new").path, `${dir}/0`);
      assert.equal(readFileSync(`${dir}/0`, "utf8"), "new");
      assert.throws(() => atomicWriteSync(`${dir}/41`, "x"), { code: "ELOOP" });
      assert.throws(() => readFileSync(`${dir}/41`), { code: "ELOOP" });
    }));

  test("that dangle are an empty hand to every terminal, which makes what is missing", () =>
    withTempDir(async (dir) => {
      mkdirSync(`${dir}/inputs`);
      for (const { name, run } of terminals) {
        symlinkSync(`${name}/deep/file`, `${dir}/to-${name}`);
        const receipt = await run(`${dir}/to-${name}`, "x", {}, `${dir}/inputs`);
        assert.equal(receipt.path, `${dir}/${name}/deep/file`);
        assert.ok(lstatSync(`${dir}/to-${name}`).isSymbolicLink());
        assert.deepEqual(readdirSync(`${dir}/${name}/deep`), ["file"]);
      }
    }));

  test("refused or replaced dangling ones are not followed", () =>
    withTempDir((dir) => {
      symlinkSync("missing", `${dir}/link`);
      assert.throws(() => atomicWriteSync(`${dir}/link`, "x", { symlink: "refuse" }), {
        code: "ELOOP",
      });
      atomicWriteSync(`${dir}/link`, "x", { symlink: "replace" });
      assert.ok(lstatSync(`${dir}/link`).isFile());
      assert.deepEqual(readdirSync(dir), ["link"]);
      atomicWriteSync(`${dir}/link`, "no link any more", { symlink: "refuse" });
    }));

  test("to a directory are replaced on request, and the directory stays", () =>
    withTempDir((dir) => {
      mkdirSync(`${dir}/d`);
      symlinkSync("d", `${dir}/link`);
      atomicWriteSync(`${dir}/link`, "x", { symlink: "replace" });
      assert.ok(lstatSync(`${dir}/link`).isFile());
      assert.deepEqual(readdirSync(`${dir}/d`), []);
    }));
});

describe("what is no regular file", () => {
  for (const terminal of terminals) {
    test(`is no target of ${terminal.name}, however it is reached`, (t) =>
      withTempDir(async (dir) => {
        mkdirSync(`${dir}/inputs`);
        mkdirSync(`${dir}/d`);
        symlinkSync("d", `${dir}/to-d`);
        const cases = new Map([["d", "EISDIR"], ["to-d", "EISDIR"]]);
        if (command("mkfifo", [`${dir}/fifo`])) {
          symlinkSync("fifo", `${dir}/to-fifo`);
          cases.set("fifo", "NotRegular").set("to-fifo", "NotRegular");
        } else skip(t, "no mkfifo here");
        const before = readdirSync(dir);
        for (const [name, code] of cases) {
          await assert.rejects(
            terminal.run(`${dir}/${name}`, "x", {}, `${dir}/inputs`),
            { name: "PublishError", code },
          );
        }
        assert.deepEqual(readdirSync(dir), before);
        assert.deepEqual(readdirSync(`${dir}/d`), []);
      }));
  }

  test("a socket is refused as target and as source", () =>
    withTempDir(async (dir) => {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(`${dir}/socket`, resolve));
      try {
        assert.throws(() => atomicWriteSync(`${dir}/socket`, "x"), { code: "NotRegular" });
        // open(2) says ENXIO, stat(2) would say what it is.
        for (const refused of ["copyFrom", "concatFrom"] as const) {
          const file = new AtomicFile(`${dir}/a`);
          const call = refused === "copyFrom"
            ? file.copyFrom(`${dir}/socket`)
            : file.concatFrom([`${dir}/socket`]);
          await assert.rejects(call, (error) => {
            assert.match((error as { code: string }).code, /^(NotRegular|ENXIO)$/);
            return true;
          });
        }
        assert.deepEqual(readdirSync(dir), ["socket"]);
      } finally {
        await new Promise((resolve) => server.close(resolve));
      }
    }));

  test("a FIFO or a device is not read by readVerified, and nobody waits", (t) =>
    withTempDir(async (dir) => {
      if (!command("mkfifo", [`${dir}/fifo`])) return skip(t, "no mkfifo here");
      for (const path of [`${dir}/fifo`, "/dev/zero"]) {
        const wanted = { name: "CrashSafeError", code: "NotRegular" };
        await assert.rejects(readVerified(path, "00".repeat(16)), wanted);
        assert.throws(() => readVerifiedSync(path, "00".repeat(16)), wanted);
      }
    }));

  test("the last of several sources is looked at before the first is read", (t) =>
    withTempDir(async (dir) => {
      if (!command("mkfifo", [`${dir}/fifo`])) return skip(t, "no mkfifo here");
      writeFileSync(`${dir}/one`, "1");
      for (const last of ["fifo", "none", "."]) {
        const file = new AtomicFile(`${dir}/made/a`);
        const sources = [`${dir}/one`, `${dir}/${last}`];
        await assert.rejects(file.concatFrom(sources), { name: "PublishError" });
        assert.throws(() => file.concatFromSync(sources), { name: "PublishError" });
      }
      assert.deepEqual(readdirSync(dir).toSorted(), ["fifo", "one"]);
    }));
});

test("no writer is left in the queue when all is done, well or badly", () =>
  withTempDir(async (dir) => {
    const abort = new AbortController();
    const writes = [
      atomicWrite(`${dir}/a`, "x"),
      atomicWrite(`${dir}/a`, "y", { hash: "00".repeat(16) }),
      atomicWrite(`${dir}/a`, "z", { signal: abort.signal }),
      atomicWrite(`${dir}/none/a`, "x"),
    ];
    assert.ok(processState(systemAdapter().process).writers.size > 0);
    abort.abort();
    const outcomes = await Promise.allSettled(writes);
    assert.deepEqual(outcomes.map((one) => one.status), [
      "fulfilled",
      "rejected",
      "rejected",
      "rejected",
    ]);
    assert.deepEqual(
      [...processState(systemAdapter().process).writers.keys()].filter((key) =>
        key.startsWith(dir)
      ),
      [],
    );
  }));

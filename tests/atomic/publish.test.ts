import { describe, test } from "node:test";
import assert from "node:assert/strict";
import {
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import process from "node:process";
import { AtomicFile, atomicWrite, atomicWriteSync, PublishError } from "@crashsafe/fs";
import { tempClassOf, tempName } from "../../src/scratch/temp_names.ts";
import { command, skip } from "../support/root.ts";
import { runProgram } from "../support/programs.ts";
import { nodeWithPermissions, runtime } from "../support/runtime.ts";
import { terminals } from "../support/terminals.ts";
import { withTempDir } from "../support/temp_dir.ts";

for (const terminal of terminals) {
  describe(terminal.name, () => {
    test("creates, overwrites, and makes missing directories", () =>
      withTempDir(async (dir) => {
        for (const content of ["", "first", "second, longer", "3", "x".repeat(200_000)]) {
          const receipt = await terminal.run(`${dir}/deep/er/file`, content, {}, dir);
          assert.equal(readFileSync(`${dir}/deep/er/file`, "utf8"), content);
          assert.equal(receipt.path, `${dir}/deep/er/file`);
          assert.equal(receipt.bytes, content.length);
          assert.equal(receipt.durability, "full");
          assert.deepEqual(receipt.lost, []);
          assert.deepEqual(readdirSync(`${dir}/deep/er`), ["file"]);
        }
      }));

    test("sets the time to what the receipt says, and leaves the access time alone where it can", () =>
      withTempDir(async (dir) => {
        const asked = 1_700_000_000_123_456_789n;
        const { mtimeNs, mtimePrecision } = await terminal.run(
          `${dir}/a`,
          "x",
          { mtime: asked },
          dir,
        );
        const { mtimeNs: found, atimeMs } = statSync(`${dir}/a`, { bigint: true });
        const unit =
          { ns: 1n, us: 1_000n, ms: 1_000_000n, s: 1_000_000_000n }[mtimePrecision ?? "s"];
        const off = (mtimeNs ?? 0n) - asked;
        assert.ok((off < 0n ? -off : off) < unit, `${mtimeNs} ${mtimePrecision}`);
        // Deno's stat has milliseconds only.
        assert.equal(found / 1_000_000n, asked / 1_000_000n);
        assert.ok(atimeMs > 1_750_000_000_000n, "the access time moved with it");
      }));
  });
}

test("times may be Dates, milliseconds, nanoseconds and instants, and lie before 1970", () =>
  withTempDir((dir) => {
    const file = new AtomicFile(`${dir}/a`);
    const cases: readonly (readonly [Parameters<AtomicFile["withMtime"]>[0], number])[] = [
      [new Date("2001-02-03T04:05:06.789Z"), Date.parse("2001-02-03T04:05:06.789Z")],
      [1_000_000_000_000, 1_000_000_000_000],
      [0, 0],
      [-86_400_000, -86_400_000],
      [1_500_000_000_000_000_000n, 1_500_000_000_000],
      [{ epochNanoseconds: 1_600_000_000_000_000_000n }, 1_600_000_000_000],
    ];
    for (const [mtime, ms] of cases) {
      file.withMtime(mtime).writeSync("x");
      assert.equal(Math.round(statSync(`${dir}/a`).mtimeMs), ms);
    }
  }));

describe("temporary files", () => {
  test("have an unpredictable name of their class beside the target, and mode 0600 until the end", () =>
    withTempDir(async (dir) => {
      writeFileSync(`${dir}/file`, "old", { mode: 0o644 });
      const seen = new Set<string>();
      for (let round = 0; round < 2; round++) {
        await new AtomicFile(`${dir}/file`).writeWith(async (sink) => {
          await sink.write("hidden until the commit");
          const [name = "", ...others] = readdirSync(dir).filter((one) => one !== "file");
          assert.deepEqual(others, []);
          assert.match(name, /^\.file\.[a-z2-7]{26}\.cs1[lu]$/);
          assert.equal(statSync(`${dir}/${name}`).mode & 0o777, 0o600);
          assert.equal(
            readFileSync(`${dir}/file`, "utf8"),
            round === 0 ? "old" : "hidden until the commit",
          );
          seen.add(name);
        });
      }
      assert.equal(seen.size, 2);
      assert.deepEqual(readdirSync(dir), ["file"]);
    }));

  test("fit 143 bytes, split no character, and are told apart from all other names", () => {
    for (const name of ["a", "x".repeat(255), "ü".repeat(127), "🦕".repeat(63), "a.cs1u"]) {
      for (const tempClass of ["l", "u"] as const) {
        const temp = tempName(name, tempClass);
        assert.ok(new TextEncoder().encode(temp).length <= 143, temp);
        assert.ok(temp.isWellFormed());
        assert.equal(tempClassOf(temp), tempClass);
      }
    }
    for (const name of ["a.cs1u", ".a.cs1u", ".a.0123456789abcdefghijklmnop.cs1u", "x", ""]) {
      assert.equal(tempClassOf(name), undefined, name);
    }
  });

  test("of a crashed writer harm nobody", () =>
    withTempDir(async (dir) => {
      const orphan = tempName("file", "u");
      writeFileSync(`${dir}/${orphan}`, "half");
      await atomicWrite(`${dir}/file`, "whole");
      assert.deepEqual(readdirSync(dir).sort(), [orphan, "file"].sort());
      assert.equal(readFileSync(`${dir}/${orphan}`, "utf8"), "half");
    }));
});

describe("targets that are no files", () => {
  test("a directory is refused", () =>
    withTempDir(async (dir) => {
      mkdirSync(`${dir}/d`);
      assert.throws(() => atomicWriteSync(`${dir}/d`, "x"), {
        code: "EISDIR",
        name: "PublishError",
      });
      await assert.rejects(atomicWrite(`${dir}/d`, "x"), { code: "EISDIR" });
      assert.deepEqual(readdirSync(dir), ["d"]);
    }));

  test("a FIFO, a device and a socket are refused as target and as source, without waiting", (t) =>
    withTempDir(async (dir) => {
      if (!command("mkfifo", [`${dir}/fifo`])) return skip(t, "no mkfifo here");
      for (const special of [`${dir}/fifo`, "/dev/null"]) {
        assert.throws(() => atomicWriteSync(special, "x"), { code: "NotRegular" });
        await assert.rejects(atomicWrite(special, "x"), { code: "NotRegular" });
        assert.throws(() => new AtomicFile(`${dir}/a`).copyFromSync(special), {
          code: "NotRegular",
        });
        await assert.rejects(new AtomicFile(`${dir}/a`).copyFrom(special), { code: "NotRegular" });
        assert.throws(() => new AtomicFile(`${dir}/a`).concatFromSync([special]), {
          code: "NotRegular",
        });
      }
      assert.deepEqual(readdirSync(dir), ["fifo"]);
    }));

  test("a missing parent is required by atomicWrite, and a file in the way is told", () =>
    withTempDir((dir) => {
      assert.throws(() => atomicWriteSync(`${dir}/none/a`, "x"), { code: "ENOENT" });
      writeFileSync(`${dir}/file`, "");
      assert.throws(() => new AtomicFile(`${dir}/file/below/a`).writeSync("x"), {
        code: "ENOTDIR",
      });
      assert.deepEqual(readdirSync(dir), ["file"]);
    }));
});

describe("sources", () => {
  test("a missing one makes no temporary file and no directory", () =>
    withTempDir(async (dir) => {
      const file = new AtomicFile(`${dir}/made/a`);
      await assert.rejects(file.copyFrom(`${dir}/none`), { code: "ENOENT" });
      assert.throws(() => file.copyFromSync(`${dir}/none`), { code: "ENOENT" });
      writeFileSync(`${dir}/one`, "1");
      await assert.rejects(file.concatFrom([`${dir}/one`, `${dir}/none`]), (error) => {
        assert.ok(error instanceof PublishError);
        assert.equal(error.code, "ENOENT");
        assert.ok(error.message.includes(`${dir}/none`), error.message);
        return true;
      });
      assert.deepEqual(readdirSync(dir), ["one"]);
    }));

  test("are put together in their order; none makes an empty file", () =>
    withTempDir(async (dir) => {
      const names = ["1", "2", "3"].map((name) => `${dir}/${name}`);
      for (const name of names) writeFileSync(name, name.slice(-1).repeat(70_000));
      await new AtomicFile(`${dir}/all`).concatFrom(new Set(names));
      assert.equal(
        readFileSync(`${dir}/all`, "utf8"),
        ["1", "2", "3"].map((one) => one.repeat(70_000)).join(""),
      );
      assert.equal(new AtomicFile(`${dir}/all`).concatFromSync([]).bytes, 0);
      assert.throws(() => new AtomicFile(`${dir}/all`).concatFromSync("ab"), TypeError);
    }));

  test("may be the target itself", () =>
    withTempDir(async (dir) => {
      writeFileSync(`${dir}/a`, "self");
      await new AtomicFile(`${dir}/a`).copyFrom(`${dir}/a`);
      await new AtomicFile(`${dir}/a`).concatFrom([`${dir}/a`, `${dir}/a`]);
      assert.equal(readFileSync(`${dir}/a`, "utf8"), "selfself");
    }));

  test("a callback that throws publishes nothing, and its error is the cause", () =>
    withTempDir(async (dir) => {
      writeFileSync(`${dir}/a`, "old");
      const boom = new Error("boom");
      const wanted = { code: "SourceFailed", name: "PublishError", cause: boom };
      await assert.rejects(
        new AtomicFile(`${dir}/a`).writeWith(async (sink) => {
          await sink.write("half");
          throw boom;
        }),
        wanted,
      );
      assert.throws(() =>
        new AtomicFile(`${dir}/a`).writeWithSync((sink) => {
          sink.write("half");
          throw boom;
        }), wanted);
      assert.equal(readFileSync(`${dir}/a`, "utf8"), "old");
      assert.deepEqual(readdirSync(dir), ["a"]);
    }));

  test("writes of a callback that it does not wait for are done in order, before the commit", () =>
    withTempDir(async (dir) => {
      await new AtomicFile(`${dir}/a`).writeWith((sink) => {
        for (const part of ["1", "x".repeat(100_000), "2"]) void sink.write(part);
      });
      assert.equal(readFileSync(`${dir}/a`, "utf8"), `1${"x".repeat(100_000)}2`);
    }));

  test("a sink takes nothing after its callback, and nothing but data", () =>
    withTempDir(async (dir) => {
      let kept: { write(data: string): unknown } | undefined;
      await new AtomicFile(`${dir}/a`).writeWith((sink) => {
        kept = sink;
      });
      await assert.rejects(async () => await kept?.write("late"), TypeError);
      new AtomicFile(`${dir}/a`).writeWithSync((sink) => {
        kept = sink;
      });
      assert.throws(() => kept?.write("late"), TypeError);
      assert.throws(() => new AtomicFile(`${dir}/a`).writeWithSync(async () => {}), TypeError);
      await assert.rejects(
        new AtomicFile(`${dir}/a`).writeWith((sink) => sink.write(5 as unknown as string)),
        TypeError,
      );
      assert.deepEqual(readdirSync(dir), ["a"]);
    }));
});

describe("symbolic links", () => {
  test("are followed, in chains and when they dangle, with the temporary file where they lead", () =>
    withTempDir(async (dir) => {
      mkdirSync(`${dir}/real`);
      symlinkSync("real/file", `${dir}/first`);
      symlinkSync(`${dir}/first`, `${dir}/second`);
      for (const content of ["made through a dangling link", "replaced"]) {
        const receipt = await new AtomicFile(`${dir}/second`).writeWith(async (sink) => {
          await sink.write(content);
          assert.ok(
            readdirSync(`${dir}/real`).some((name) => tempClassOf(name)),
            "the temporary file is elsewhere",
          );
        });
        assert.equal(receipt.path, `${dir}/real/file`);
        assert.equal(readFileSync(`${dir}/real/file`, "utf8"), content);
        assert.equal(readlinkSync(`${dir}/second`), `${dir}/first`);
      }
      assert.deepEqual(readdirSync(dir).sort(), ["first", "real", "second"]);
    }));

  test("are replaced or refused on request", () =>
    withTempDir((dir) => {
      writeFileSync(`${dir}/file`, "kept", { mode: 0o600 });
      symlinkSync("file", `${dir}/link`);
      assert.throws(() => atomicWriteSync(`${dir}/link`, "x", { symlink: "refuse" }), {
        code: "ELOOP",
      });
      assert.ok(lstatSync(`${dir}/link`).isSymbolicLink());
      const receipt = atomicWriteSync(`${dir}/link`, "x", { symlink: "replace" });
      assert.ok(lstatSync(`${dir}/link`).isFile());
      assert.equal(receipt.mode, 0o666 & ~process.umask());
      assert.equal(readFileSync(`${dir}/file`, "utf8"), "kept");
    }));

  test("in a loop, or to a directory, are refused", () =>
    withTempDir((dir) => {
      symlinkSync("two", `${dir}/one`);
      symlinkSync("one", `${dir}/two`);
      symlinkSync(".", `${dir}/dot`);
      assert.throws(() => atomicWriteSync(`${dir}/one`, "x"), { code: "ELOOP" });
      assert.throws(() => atomicWriteSync(`${dir}/dot`, "x"), { code: "EISDIR" });
      assert.deepEqual(readdirSync(dir).sort(), ["dot", "one", "two"]);
    }));
});

describe("mode, owner and links", () => {
  test("the mode of the old file is kept, an explicit one is set", () =>
    withTempDir((dir) => {
      for (const mode of [0o600, 0o644, 0o4755, 0o2750, 0o400]) {
        writeFileSync(`${dir}/a`, "old");
        atomicWriteSync(`${dir}/a`, "", { mode });
        assert.equal(statSync(`${dir}/a`).mode & 0o7777, mode);
        assert.equal(atomicWriteSync(`${dir}/a`, "new").mode, mode);
        assert.equal(statSync(`${dir}/a`).mode & 0o7777, mode);
      }
    }));

  test("a new file follows the umask, an explicit mode does not", () =>
    withTempDir(async (dir) => {
      const { stdout, stderr } = await runProgram("tests/programs/call", {
        args: ["umask", dir, "027"],
      });
      assert.deepEqual(JSON.parse(stdout || "0"), [0o640, 0o666, 0o640, 0o750], stderr);
    }));

  test("a new file follows the default ACL of its directory", (t) =>
    withTempDir((dir) => {
      if (!command("setfacl", ["-d", "-m", "u::rw,g::rw,o::-,m::rw", dir])) {
        return skip(t, "no setfacl, or no ACLs on this file system");
      }
      assert.equal(atomicWriteSync(`${dir}/a`, "x").mode, 0o660);
    }));

  test("owner and group are kept by root, and told as lost by another user", (t) =>
    withTempDir(async (dir) => {
      if (process.getuid?.() !== 0) return skip(t, "changing owners needs root");
      const { chmodSync, chownSync } = await import("node:fs");
      writeFileSync(`${dir}/a`, "old");
      chownSync(`${dir}/a`, 1234, 5678);
      chmodSync(`${dir}/a`, 0o6755);
      assert.deepEqual(atomicWriteSync(`${dir}/a`, "new").owner, { uid: 1234, gid: 5678 });
      const { uid, gid, mode } = statSync(`${dir}/a`);
      assert.deepEqual([uid, gid, mode & 0o7777], [1234, 5678, 0o6755]);
      assert.deepEqual(atomicWriteSync(`${dir}/a`, "own", { owner: "current" }).lost, [
        "owner",
        "group",
        "setuid-setgid",
      ]);
      chownSync(`${dir}/a`, 1234, 5678);
      chmodSync(`${dir}/a`, 0o6755);
      if (runtime !== "node") return;
      chmodSync(dir, 0o777);
      const { stdout, stderr } = await runProgram("tests/programs/call", {
        args: ["another user", dir],
      });
      assert.deepEqual(
        JSON.parse(stdout || "0"),
        { lost: ["owner", "group", "setuid-setgid"], mode: 0o755, content: "new" },
        stderr,
      );
    }));

  test("lost hard links are told, and keep the old content", () =>
    withTempDir((dir) => {
      writeFileSync(`${dir}/a`, "old");
      linkSync(`${dir}/a`, `${dir}/b`);
      assert.deepEqual(atomicWriteSync(`${dir}/a`, "new").lost, ["hard-links"]);
      assert.equal(readFileSync(`${dir}/b`, "utf8"), "old");
    }));
});

describe("existing: fail", () => {
  test("refuses a file, a directory and a dangling link that is not followed", () =>
    withTempDir(async (dir) => {
      writeFileSync(`${dir}/file`, "kept");
      mkdirSync(`${dir}/dir`);
      symlinkSync("none", `${dir}/link`);
      for (const name of ["file", "dir", "link"]) {
        const options = { existing: "fail", symlink: "replace" } as const;
        assert.throws(() => atomicWriteSync(`${dir}/${name}`, "x", options), { code: "EEXIST" });
        await assert.rejects(atomicWrite(`${dir}/${name}`, "x", options), { code: "EEXIST" });
      }
      assert.equal(readFileSync(`${dir}/file`, "utf8"), "kept");
      assert.deepEqual(readdirSync(dir).sort(), ["dir", "file", "link"]);
    }));

  test("lets exactly one of several racing processes win", () =>
    withTempDir(async (dir) => {
      const racers = ["one", "two", "three"];
      const outcomes = await Promise.all(racers.map(async (name) => {
        const { stdout } = await runProgram("tests/programs/call", { args: ["claim", dir, name] });
        return JSON.parse(stdout);
      }));
      assert.deepEqual(outcomes.toSorted(), ["EEXIST", "EEXIST", "won"]);
      assert.equal(readFileSync(`${dir}/claimed`, "utf8"), racers[outcomes.indexOf("won")]);
      assert.deepEqual(readdirSync(dir), ["claimed"]);
    }));

  test("lets the name that appears after the look win", () =>
    withTempDir(async (dir) => {
      await assert.rejects(
        new AtomicFile(`${dir}/a`, { existing: "fail" }).writeWith(async (sink) => {
          await sink.write("ours");
          writeFileSync(`${dir}/a`, "theirs");
        }),
        { code: "EEXIST" },
      );
      assert.equal(readFileSync(`${dir}/a`, "utf8"), "theirs");
      assert.deepEqual(readdirSync(dir), ["a"]);
    }));
});

if (runtime === "deno") {
  test("Deno needs no more than its directory's permissions", () =>
    withTempDir(async (dir) => {
      const permissions = [`--allow-read=${dir}`, `--allow-write=${dir}`];
      const { stdout, stderr } = await runProgram("tests/programs/call_scoped", {
        args: [dir],
        permissions,
      });
      assert.equal(stdout.trim(), "full full full full full full full full", stderr);
    }));
}

if (nodeWithPermissions) {
  test("Node's permission model, which forbids fsync, is told before anything is touched", () =>
    withTempDir(async (dir) => {
      const permissions = ["--permission", "--allow-fs-read=*", `--allow-fs-write=${dir}`];
      const { stdout, stderr } = await runProgram("tests/programs/call", {
        args: ["no fsync", dir],
        permissions,
      });
      assert.equal(
        stdout.trim(),
        '[["Unsupported","Unsupported","Unsupported"],[],"none"]',
        stderr,
      );
    }));
}

test("importing the package starts nothing", async () => {
  const { stdout, stderr, code } = await runProgram("tests/programs/import_only");
  assert.equal(stdout.trim(), "0 false", stderr);
  assert.equal(code, 0);
});

import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { fileURLToPath } from "node:url";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import {
  type Outcome,
  type ProgramOptions,
  projectFile,
  runProgram,
  startProgram,
} from "../support/programs.ts";
import { createTempFileSync, FileLock, systemAdapter, TempDir } from "@crashsafe/fs";
import { MemoryFs } from "@crashsafe/fs/testing";
import { skip, type Skippable } from "../support/root.ts";
import { runtime } from "../support/runtime.ts";
import { withTempDir } from "../support/temp_dir.ts";

/** The command with no more permissions than it says it needs. */
function crashsafe(
  cwd: string,
  args: readonly string[],
  options: ProgramOptions = {},
): Promise<Outcome> {
  const permissions = runtime === "deno" ? [`--allow-read=${cwd}`, `--allow-write=${cwd}`] : [];
  return runProgram("cli/main", { cwd, args, permissions, ...options });
}

describe("crashsafe write", () => {
  test("publishes standard input, whole, and says nothing", () =>
    withTempDir(async (dir) => {
      for (const stdin of ["", "short\n", "x".repeat(3_000_000)]) {
        assert.deepEqual(await crashsafe(dir, ["write", "out"], { stdin }), {
          code: 0,
          signal: null,
          stdout: "",
          stderr: "",
        });
        assert.equal(readFileSync(`${dir}/out`, "utf8"), stdin);
      }
    }));

  test("reads and writes the same file, as sponge does", () =>
    withTempDir(async (dir) => {
      writeFileSync(`${dir}/a`, "b\na\n");
      const sorted = spawnSync("sort", [`${dir}/a`], { encoding: "utf8" }).stdout;
      await crashsafe(dir, ["write", "a"], { stdin: sorted });
      assert.equal(readFileSync(`${dir}/a`, "utf8"), "a\nb\n");
    }));

  test("takes every option, and prints the receipt as JSON", () =>
    withTempDir(async (dir) => {
      const { code, stdout, stderr } = await crashsafe(dir, [
        "write",
        "--parents",
        "--json",
        "--mode=640",
        "--mtime=2001-02-03T04:05:06.5+01:00",
        "--durability=file",
        "--hash=06B05AB6733A618578AF5F94892F3950",
        "--algorithm=xxh3-128",
        "--no-clobber",
        "--symlink=refuse",
        "made/out",
      ], { stdin: "abc" });
      assert.equal(code, 0, stderr);
      const receipt = JSON.parse(stdout);
      assert.equal(receipt.path, `${dir}/made/out`);
      assert.equal(receipt.hash, "06b05ab6733a618578af5f94892f3950");
      assert.equal(receipt.mode, 0o640);
      assert.equal(receipt.durability, "file");
      assert.equal(
        BigInt(receipt.mtimeNs) / 1_000_000n,
        BigInt(Date.parse("2001-02-03T03:05:06.500Z")),
      );
      assert.equal(statSync(`${dir}/made/out`).mtimeMs, Date.parse("2001-02-03T03:05:06.500Z"));
      assert.equal(stdout.split("\n").length, 2);
    }));

  test("killed in the middle keeps the old file", () =>
    withTempDir(async (dir) => {
      writeFileSync(`${dir}/out`, "old");
      const { child, outcome } = startProgram("cli/main", { cwd: dir, args: ["write", "out"] });
      child.stdin?.write("x".repeat(2_500_000));
      // The temporary file is there: the command is in the middle.
      while (readdirSync(dir).length < 2 && child.exitCode === null) {
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      child.kill("SIGKILL");
      assert.equal((await outcome).signal, "SIGKILL");
      assert.equal(readFileSync(`${dir}/out`, "utf8"), "old");
      assert.equal(readdirSync(dir).filter((name) => /^\.out\..*\.cs1[lu]$/.test(name)).length, 1);
    }));
});

describe("crashsafe copy", () => {
  test("copies a file, into a directory too, quietly where there is no terminal", () =>
    withTempDir(async (dir) => {
      writeFileSync(`${dir}/a`, "content");
      mkdirSync(`${dir}/d`);
      for (const target of ["b", "d", "d/c"]) {
        const { code, stdout, stderr } = await crashsafe(dir, ["copy", "a", target]);
        assert.deepEqual([code, stdout, stderr], [0, "", ""]);
      }
      for (const path of ["b", "d/a", "d/c"]) {
        assert.equal(readFileSync(`${dir}/${path}`, "utf8"), "content");
      }
    }));

  test("takes names that look like options after --", () =>
    withTempDir(async (dir) => {
      writeFileSync(`${dir}/-a`, "content");
      assert.equal((await crashsafe(dir, ["copy", "--", "-a", "--help"])).code, 0);
      assert.equal(readFileSync(`${dir}/--help`, "utf8"), "content");
    }));

  test("sets nanoseconds given as seconds, before 1970 too", () =>
    withTempDir(async (dir) => {
      writeFileSync(`${dir}/a`, "");
      const { code, stderr } = await crashsafe(dir, ["copy", "--mtime=@-1.5", "a", "b"]);
      if (runtime === "deno") {
        // Without FFI it cannot: that is told, and nothing is published.
        assert.match(stderr, /ENOTSUP .* nothing was published/);
        return assert.equal(code, 1);
      }
      assert.equal(statSync(`${dir}/b`).mtimeMs, -1500);
    }));
});

describe("crashsafe orphans", () => {
  const DEAD = ".a.abcdefghijklmnopqrstuvwx27.cs1l";
  const UNKNOWN = ".b.abcdefghijklmnopqrstuvwx27.cs1u";

  test("lists, and removes only when it is told to", () =>
    withTempDir(async (dir) => {
      mkdirSync(`${dir}/sub`);
      writeFileSync(`${dir}/${DEAD}`, "x".repeat(2048));
      writeFileSync(`${dir}/sub/${UNKNOWN}`, "");
      const live = createTempFileSync(dir);
      const listed = await crashsafe(dir, ["orphans", ".", "-r"]);
      assert.equal(listed.code, 0, listed.stderr);
      const helper = systemAdapter().capabilities.flock === "helper";
      assert.match(listed.stdout, /^orphan +2\.0 KiB +[\d.]+ s +class l +dead +\.a\./m);
      assert.match(listed.stdout, /^kept +0 B +[\d.]+ s +class u +not known +sub\/\.b\./m);
      assert.match(
        listed.stdout,
        helper ? /^kept .*\.tmp\./m : /^in use +class l +alive +\.tmp\./m,
      );
      assert.match(listed.stdout, /^1 file, 2\.0 KiB to be removed/m);
      const removed = await crashsafe(dir, ["orphans", ".", "-r", "--remove"]);
      assert.match(removed.stdout, /^removed 1 file, 2\.0 KiB$/m);
      assert.ok(!existsSync(`${dir}/${DEAD}`) && existsSync(`${dir}/sub/${UNKNOWN}`));
      const json = await crashsafe(dir, [
        "orphans",
        "sub",
        "--older-than",
        "0s",
        "--remove",
        "--json",
      ]);
      const report = JSON.parse(json.stdout);
      assert.deepEqual([report.removed.length, report.dryRun, report.failed], [1, false, []]);
      assert.equal(report.removed[0].path, `${dir}/sub/${UNKNOWN}`);
      assert.ok(existsSync(live.path));
      live.disposeSync();
    }));
});

describe("crashsafe recover", () => {
  test("removes what is stale, unless it is a dry run", () =>
    withTempDir(async (dir) => {
      const id = "abcdefghijklmnopqrstuvwx27";
      mkdirSync(`${dir}/temp-dir-${id}/deep`, { recursive: true });
      writeFileSync(`${dir}/temp\u001b[31m`, "");
      const temp = TempDir.createSync(dir);
      const dry = await crashsafe(dir, ["recover", ".", "--dry-run"]);
      assert.equal(dry.code, 0, dry.stderr);
      assert.match(dry.stdout, new RegExp(`^stale +temp-dir-${id}$`, "m"));
      assert.match(dry.stdout, /^live +temp-dir-/m);
      assert.match(dry.stdout, /^ignored +"temp\\u001b\[31m"$/m);
      assert.match(dry.stdout, /^1 to be removed, 1 live$/m);
      assert.ok(existsSync(`${dir}/temp-dir-${id}`));
      const real = JSON.parse((await crashsafe(dir, ["recover", dir, "--json"])).stdout);
      assert.deepEqual([real.removed, real.live], [[`${dir}/temp-dir-${id}`], [temp.path]]);
      assert.ok(!existsSync(`${dir}/temp-dir-${id}`) && existsSync(temp.path));
      temp.cleanupSync();
    }));
});

if (runtime === "bun" && projectFile("cli/main").endsWith(".ts")) {
  test("the command compiled by Bun into one file works without Bun", () =>
    withTempDir((dir) => {
      const build = spawnSync(
        process.execPath,
        ["build", "--compile", projectFile("cli/main"), "--outfile", `${dir}/crashsafe`],
        { encoding: "utf8" },
      );
      assert.equal(build.status, 0, build.stderr);
      const run = spawnSync(`${dir}/crashsafe`, ["write", "out"], { cwd: dir, input: "content" });
      assert.equal(run.status, 0, String(run.stderr));
      assert.equal(readFileSync(`${dir}/out`, "utf8"), "content");
      const lock = spawnSync(`${dir}/crashsafe`, ["lock", "l", "--", "true"], { cwd: dir });
      assert.equal(lock.status, 0, String(lock.stderr));
    }));
}

describe("crashsafe completion", () => {
  test("completes commands, options, values and files in bash", (t) =>
    withTempDir(async (dir) => {
      if (spawnSync("bash", ["--version"]).status !== 0) return skip(t, "there is no bash");
      const { stdout } = await crashsafe(dir, ["completion", "bash"]);
      writeFileSync(`${dir}/some-file`, "");
      const complete = (...words: readonly string[]): string =>
        spawnSync("bash", [
          "-c",
          `${stdout}\nCOMP_WORDS=(crashsafe "$@"); COMP_CWORD=$#; _crashsafe; echo "\${COMPREPLY[*]}"`,
          "bash",
          ...words,
        ], { cwd: dir, encoding: "utf8" }).stdout.trim();
      assert.equal(complete("re"), "recover");
      assert.equal(complete("write", "--dur"), "--durability");
      assert.equal(complete("copy", "--symlink", "re"), "replace refuse");
      assert.equal(complete("write", "some"), "some-file");
      assert.equal(complete("completion", "z"), "zsh");
    }));

  test("knows every option that the help tells of", async () => {
    const help = (await runProgram("cli/main", { args: ["--help"] })).stdout;
    const script = (await runProgram("cli/main", { args: ["completion", "fish"] })).stdout;
    const told = [...help.matchAll(/^ {2}--([a-z-]+)/gm)].map(([, name]) => name ?? "");
    assert.ok(told.length > 15);
    for (const name of told.filter((one) => !["help", "version"].includes(one))) {
      assert.ok(script.includes(` -l ${name}`), name);
    }
    const commands = [...help.matchAll(/^ {2}crashsafe ([a-z]+) /gm)].map(([, name]) => name ?? "");
    for (const name of commands) assert.ok(script.includes(` -a ${name} `), name);
  });
});

describe("crashsafe fails with one line and its exit status:", () => {
  const CASES: readonly (readonly [number, readonly string[], RegExp])[] = [
    [1, ["copy", "none", "b"], /Cannot publish ".*\/b": opening ".*\/none" failed with ENOENT/],
    [1, ["write", "dir"], /EISDIR \(it is a directory\), nothing was published/],
    [1, ["write", "none/out"], /making a temporary file in ".*\/none" failed with ENOENT/],
    [1, ["write", "--symlink=refuse", "link"], /ELOOP/],
    [1, ["hash", "none"], /none: .*ENOENT/],
    [2, [], /a command is missing \(see crashsafe --help\)/],
    [2, ["frob"], /unknown command "frob"/],
    [2, ["toString"], /unknown command/],
    [2, ["write"], /wanted TARGET, got 0 arguments/],
    [2, ["copy", "a"], /wanted SOURCE and TARGET, got 1 argument/],
    [2, ["write", "--nope", "out"], /Unknown option '--nope'/],
    [2, ["write", "--mode=abc", "out"], /--mode must be octal/],
    [2, ["write", "--mtime=yesterday", "out"], /--mtime must be like/],
    [2, ["write", "--durability=most", "out"], /durability must be one of/],
    [2, ["write", "--algorithm=sha256", "out"], /--algorithm needs --hash/],
    [2, ["write", "--hash=zz", "out"], /must be hexadecimal/],
    [2, ["write", "out/"], /ends like a directory/],
    [2, ["hash", "--algorithm=md5", "a"], /--algorithm must be one of/],
    [1, ["orphans", "none"], /Cannot list ".*none": ENOENT/],
    [1, ["recover", "a"], /Cannot recover ".*\/a": Cannot list .*ENOTDIR.*nothing was removed/],
    [2, ["orphans"], /wanted one DIR/],
    [2, ["orphans", "--older-than=soon", "."], /--older-than must be like 90s, 15m, 36h or 7d/],
    [2, ["orphans", "--also=git", "."], /also may be oxen, aperture/],
    [2, ["recover"], /wanted one ROOT/],
    [2, ["completion", "tcsh"], /wanted bash, zsh or fish/],
    [
      4,
      ["write", "--hash=99aa06d3014798d86001c324468d497f", "out"],
      /wanted 99aa06d3014798d86001c324468d497f, nothing was published/,
    ],
    [5, ["write", "--no-clobber", "a"], /EEXIST/],
  ];
  for (const [code, args, message] of CASES) {
    test(`${code} ${args.join(" ")}`, () =>
      withTempDir(async (dir) => {
        writeFileSync(`${dir}/a`, "kept");
        mkdirSync(`${dir}/dir`);
        symlinkSync("a", `${dir}/link`);
        const outcome = await crashsafe(dir, args, { stdin: "input" });
        assert.match(outcome.stderr, message);
        assert.equal(outcome.stderr.trimEnd().split("\n").length, 1, outcome.stderr);
        assert.equal(outcome.code, code);
        assert.equal(outcome.stdout, "");
        assert.equal(readFileSync(`${dir}/a`, "utf8"), "kept");
        assert.deepEqual(readdirSync(dir).sort(), ["a", "dir", "link"]);
      }));
  }
});

describe("crashsafe hash", () => {
  const TOOLS: readonly (readonly [string, readonly string[], string])[] = [
    ["xxhsum", ["-H2"], "xxh3-128"],
    ["sha256sum", [], "sha256"],
    ["sha512sum", [], "sha512"],
    ["b3sum", [], "blake3"],
  ];
  for (const [tool, flags, algorithm] of TOOLS) {
    test(`prints what ${[tool, ...flags].join(" ")} prints, and each reads the other's list`, (t) =>
      withTempDir(async (dir) => {
        const names = ["empty", "with space", "large"];
        // xxhsum escapes names since 0.8.2 only; the others always did.
        if (tool !== "xxhsum") names.push("new\nline", "back\\slash");
        for (const name of names) {
          writeFileSync(`${dir}/${name}`, name === "empty" ? "" : name.repeat(100_000));
        }
        const theirs = run(t, tool, [...flags, ...names], dir);
        if (theirs === undefined) return;
        const ours = await crashsafe(dir, ["hash", `--algorithm=${algorithm}`, ...names]);
        assert.equal(ours.stdout, theirs.stdout, ours.stderr);
        const stdin = await crashsafe(dir, ["hash", `--algorithm=${algorithm}`], {
          stdin: "piped",
        });
        assert.equal(stdin.stdout, run(t, tool, [...flags], dir, "piped")?.stdout);
        writeFileSync(`${dir}/list`, theirs.stdout);
        const checked = await crashsafe(dir, [
          "hash",
          "--check",
          `--algorithm=${algorithm}`,
          "list",
        ]);
        assert.equal(checked.code, 0, checked.stdout + checked.stderr);
        assert.equal(checked.stdout.match(/: OK$/gm)?.length, names.length);
        writeFileSync(`${dir}/list`, ours.stdout);
        assert.equal(run(t, tool, [...flags, "-c", "list"], dir)?.status, 0);
      }));
  }

  test("--check tells what differs, what is missing and what is no line of a list", () =>
    withTempDir(async (dir) => {
      writeFileSync(`${dir}/same`, "");
      writeFileSync(`${dir}/other`, "x");
      const empty = "99aa06d3014798d86001c324468d497f";
      const list = `${empty}  same\n${empty.toUpperCase()} *other\n${empty}  gone\nno line\n`;
      const { code, stdout, stderr } = await crashsafe(dir, ["hash", "--check"], { stdin: list });
      assert.equal(code, 1);
      assert.equal(stdout, "same: OK\nother: FAILED\ngone: FAILED open or read\n");
      assert.match(stderr, /1 line is improperly formatted/);
      assert.match(stderr, /1 listed file could not be read/);
      assert.match(stderr, /1 computed checksum did NOT match/);
      const nothing = await crashsafe(dir, ["hash", "--check"], { stdin: "" });
      assert.equal(nothing.code, 1);
      assert.match(nothing.stderr, /no properly formatted checksum lines found/);
    }));
});

test("--help and --version, alone and after a command", () =>
  withTempDir(async (dir) => {
    for (
      const args of [["--help"], ["help"], ["-h"], ["write", "--help"], ["copy", "a", "--help"]]
    ) {
      const { code, stdout } = await crashsafe(dir, args);
      assert.equal(code, 0);
      assert.match(stdout, /^Usage: crashsafe COMMAND/);
    }
    assert.match((await crashsafe(dir, ["--version"])).stdout, /^\d+\.\d+\.\d+\n$/);
  }));

test("a reader that goes away gets one clear line on standard error", () =>
  withTempDir(async (dir) => {
    writeFileSync(`${dir}/a`, "x");
    const { child, outcome } = startProgram("cli/main", { cwd: dir, args: ["hash", "--check"] });
    child.stdout?.destroy();
    await once(child.stdout ?? assert.fail(), "close");
    child.stdin?.end("99aa06d3014798d86001c324468d497f  a\n".repeat(20_000));
    const { code, stderr } = await outcome;
    assert.equal(code, 1);
    assert.equal(stderr, "crashsafe: cannot write to standard output: EPIPE\n");
  }));

function run(
  t: Skippable,
  tool: string,
  args: readonly string[],
  cwd: string,
  input = "",
): { stdout: string; status: number | null } | undefined {
  const { error, stdout, status } = spawnSync(tool, [...args], { cwd, input, encoding: "utf8" });
  if (error !== undefined) return skip(t, `${tool} is not installed`) as undefined;
  return { stdout, status };
}

test("the README has the help as it is", async () => {
  const readme = fileURLToPath(new URL("../../README.md", import.meta.url));
  if (!existsSync(readme)) return;
  const { stdout } = await runProgram("cli/main", { args: ["--help"] });
  assert.ok(readFileSync(readme, "utf8").includes(`\`\`\`text\n${stdout}\`\`\`\n`));
});

describe("crashsafe lock", () => {
  const everything = (): ProgramOptions => runtime === "deno" ? { permissions: ["-A"] } : {};

  test("runs a command while it holds the lock, and passes its status on", () =>
    withTempDir(async (dir) => {
      const script = `flock -n ${dir}/l true; echo "inside $?"; exit 7`;
      const { code, stdout, stderr } = await crashsafe(
        dir,
        ["lock", "l", "--", "sh", "-c", script],
        everything(),
      );
      assert.deepEqual([code, stdout, stderr], [7, "inside 1\n", ""]);
      FileLock.acquireSync(`${dir}/l`).releaseSync();
      const killed = await crashsafe(
        dir,
        ["lock", "l", "--", "sh", "-c", "kill -9 $$"],
        everything(),
      );
      assert.equal(killed.code, 137);
      const missing = await crashsafe(dir, ["lock", "l", "--", "./none"], everything());
      assert.equal(missing.code, 127);
    }));

  test("ends with 75 or --busy when somebody else holds it, after the time given", () =>
    withTempDir(async (dir) => {
      const lock = FileLock.acquireSync(`${dir}/l`, { shared: true });
      const busy = async (...options: string[]): Promise<number | null> => {
        const { code, stderr } = await crashsafe(
          dir,
          ["lock", ...options, "l", "--", "echo", "no"],
          everything(),
        );
        assert.match(stderr, /^(crashsafe: Cannot lock .*: somebody else holds it, waited .*\n)?$/);
        return code;
      };
      assert.equal(await busy("--no-wait"), 75);
      assert.equal(await busy("--timeout", "0.05", "--busy", "9"), 9);
      assert.equal(await busy("--shared"), 0);
      lock.releaseSync();
    }));

  test("forwards signals to the command", () =>
    withTempDir(async (dir) => {
      const script = 'trap "echo got it; exit 3" TERM; echo ready; while :; do sleep 0.01; done';
      const { child, outcome } = startProgram("cli/main", {
        cwd: dir,
        args: ["lock", "l", "--", "sh", "-c", script],
        ...everything(),
      });
      await once(child.stdout as NodeJS.ReadableStream, "data");
      // Not child.kill(): Deno then takes the signal for what ended the child.
      process.kill(child.pid as number, "SIGTERM");
      const { code, stdout } = await outcome;
      assert.deepEqual([code, stdout], [3, "ready\ngot it\n"]);
      FileLock.acquireSync(`${dir}/l`).releaseSync();
    }));

  test("says what is wrong with its command line, and locks nothing", () =>
    withTempDir(async (dir) => {
      const wrong = [
        ["l"],
        ["l", "--"],
        ["--", "true"],
        ["l", "m", "--", "true"],
        ["--timeout", "x", "l", "--", "true"],
        ["--no-wait", "--timeout", "1", "l", "--", "true"],
        ["--busy", "256", "l", "--", "true"],
      ];
      for (const args of wrong) {
        assert.equal(
          (await crashsafe(dir, ["lock", ...args], everything())).code,
          2,
          args.join(" "),
        );
      }
      assert.deepEqual(readdirSync(dir), []);
    }));
});

test("crashsafe doctor tells every capability, for people and as JSON", () =>
  withTempDir(async (dir) => {
    const { stdout, code } = await crashsafe(dir, ["doctor"]);
    assert.equal(code, 0);
    assert.match(stdout, new RegExp(`^crashsafe \\d.* on ${runtime} \\d`));
    const facts = JSON.parse((await crashsafe(dir, ["doctor", "--json"])).stdout);
    for (const name of Object.keys(new MemoryFs().capabilities)) assert.ok(name in facts, name);
    const shown = /locks, flock\(2\) +(\w+)/.exec(stdout)?.[1];
    assert.equal(shown, facts.flock);
    assert.equal(facts.flock, systemAdapter().capabilities.flock);
  }));

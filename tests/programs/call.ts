// Runs one scenario by name, for tests that need a process of their own. Prints JSON.

import {
  AtomicFile,
  atomicWrite,
  atomicWriteSync,
  FileLock,
  readVerifiedSync,
  TempDir,
} from "@crashsafe/fs";
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import process from "node:process";

const [scenario, dir = "", extra = ""] = process.argv.slice(2);

function say(value: unknown): void {
  console.log(JSON.stringify(value, (_, one) => typeof one === "bigint" ? String(one) : one));
}

function codeOf(error: unknown): string {
  const { name, code } = error as { name: string; code?: string };
  return code ?? name;
}

const scenarios: Record<string, () => unknown> = {
  /** Verified on the first line of a program: nothing could be started before. */
  "first line": () => {
    const digest = "78af5f94892f3950";
    const receipt = new AtomicFile(`${dir}/a`).withHash(`06b05ab6733a6185${digest}`).writeSync(
      "abc",
    );
    return [receipt.hash, readVerifiedSync(`${dir}/a`, `06b05ab6733a6185${digest}`).length];
  },
  umask: () => {
    process.umask(parseInt(extra, 8));
    const fresh = atomicWriteSync(`${dir}/fresh`, "x");
    const explicit = atomicWriteSync(`${dir}/explicit`, "x", { mode: 0o666 });
    new AtomicFile(`${dir}/made/a`).writeSync("x");
    return [
      fresh.mode,
      explicit.mode,
      statSync(`${dir}/fresh`).mode & 0o777,
      statSync(`${dir}/made`).mode & 0o777,
    ];
  },
  "relative": async () => {
    process.chdir(dir);
    const file = new AtomicFile("a");
    const written = atomicWrite("b", "x");
    process.chdir("/");
    await file.write("x");
    await written;
    return readdirSync(dir).sort();
  },
  "another user": () => {
    process.setgid?.(65534);
    process.setuid?.(65534);
    const receipt = atomicWriteSync(`${dir}/a`, "new");
    return { lost: receipt.lost, mode: receipt.mode, content: readFileSync(`${dir}/a`, "utf8") };
  },
  /** Without root's rights: a tree whose directories forbid everything. */
  "remove forbidden trees": () => {
    process.setgid?.(65534);
    process.setuid?.(65534);
    const temp = TempDir.createSync(`${dir}/root`);
    for (const mode of [0o000, 0o400, 0o100, 0o500]) {
      mkdirSync(`${dir}/tree/a/b`, { recursive: true });
      writeFileSync(`${dir}/tree/a/b/file`, "");
      writeFileSync(`${dir}/tree/a/file`, "");
      for (const path of ["a/b/file", "a/b", "a"]) chmodSync(`${dir}/tree/${path}`, mode);
      // To be renamed into another directory a directory must be writable.
      chmodSync(`${dir}/tree`, 0o700);
      const staged = temp.stageDeletionSync(`${dir}/tree`);
      chmodSync(staged, mode);
    }
    temp.cleanupSync();
    return [...readdirSync(`${dir}/root`), ...readdirSync(dir)];
  },
  "lock a file of somebody else": () => {
    process.setgid?.(65534);
    process.setuid?.(65534);
    const lock = FileLock.tryAcquireSync(`${dir}/lock`, { holder: "nobody" });
    try {
      FileLock.tryAcquireSync(`${dir}/missing`);
    } catch (error) {
      return [lock === null ? "busy" : "held", codeOf(error)];
    }
    return "made a file without the right to";
  },
  "claim": async () => {
    try {
      await atomicWrite(`${dir}/claimed`, extra, { existing: "fail" });
      return "won";
    } catch (error) {
      return codeOf(error);
    }
  },
  "no fsync": async () => {
    const codes: string[] = [];
    for (
      const options of [{}, { durability: "file" }, { durability: "none", mode: 0o600 }] as const
    ) {
      try {
        await atomicWrite(`${dir}/a`, "x", options);
      } catch (error) {
        codes.push(codeOf(error));
      }
    }
    const before = readdirSync(dir);
    return [codes, before, (await atomicWrite(`${dir}/a`, "x", { durability: "none" })).durability];
  },
};

say(await scenarios[scenario ?? ""]?.());

/** `crashsafe doctor`: what this runtime can do for files here. */

import process from "node:process";
import { systemAdapter } from "../mod.ts";
import { UsageError } from "./failures.ts";
import { say } from "./output.ts";
import { parse } from "./publish_options.ts";
import { VERSION } from "./version.ts";

export async function doctor(args: readonly string[]): Promise<number> {
  const { values, positionals } = parse({
    args: [...args],
    options: { json: { type: "boolean" } },
    allowPositionals: true,
  });
  if (positionals.length > 0) throw new UsageError("doctor takes no arguments");
  const { name, capabilities } = systemAdapter();
  const { flock, fsync, fsyncDir, syncFs, clone, handleMetadata } = capabilities;
  const { mtimePrecision, mtimeReadPrecision } = capabilities;
  const facts = {
    version: VERSION,
    runtime: name,
    runtimeVersion: process.versions[name] ?? process.version,
    platform: `${process.platform} ${process.arch}`,
    ...{ flock, fsync, fsyncDir, syncFs, clone, handleMetadata },
    ...{ mtimePrecision, mtimeReadPrecision },
  };
  if (values.json) return await say(JSON.stringify(facts));
  const lines = [
    `crashsafe ${VERSION} on ${name} ${facts.runtimeVersion}, ${facts.platform}`,
    ...ROWS.map(([fact, what, means]) => {
      const value = facts[fact];
      const shown = value === true ? "yes" : value === false ? "no" : value;
      return `  ${what.padEnd(32)}${String(shown).padEnd(8)}${means[String(value)] ?? ""}`
        .trimEnd();
    }),
  ];
  return await say(lines.join("\n"));
}

type Fact =
  | "flock"
  | "fsync"
  | "fsyncDir"
  | "syncFs"
  | "clone"
  | "handleMetadata"
  | "mtimePrecision"
  | "mtimeReadPrecision";

const ROWS: readonly (readonly [Fact, string, Readonly<Record<string, string>>])[] = [
  ["flock", "locks, flock(2)", {
    native: "by the runtime itself",
    ffi: "by the C library",
    helper: "by the program flock(1): 2 ms each; `npm install koffi` makes it 10 µs",
    none: "no locks: `npm install koffi`, or install flock(1) of util-linux",
  }],
  ["fsync", "fsync of files", {
    false: 'only durability "none": Node\'s --permission forbids fsync',
  }],
  ["fsyncDir", "fsync of directories", { false: 'durability "file" at most' }],
  ["syncFs", "syncfs(2)", { false: "many files at once are synced one by one" }],
  ["clone", "copies that share blocks", { false: "copies are made byte by byte" }],
  ["handleMetadata", "mode, owner and time of files", { false: "Node's --permission forbids it" }],
  ["mtimePrecision", "times are set to the", {}],
  ["mtimeReadPrecision", "times are read to the", {}],
];

#!/usr/bin/env node
/**
 * The `crashsafe` command: files from the shell that survive a crash.
 *
 * Run it with `npx @crashsafe/fs`, `bunx @crashsafe/fs` or `deno run jsr:@crashsafe/fs/cli`, and `--help`.
 *
 * @module
 */

import process from "node:process";
import { completion } from "./completion.ts";
import { copy } from "./copy.ts";
import { exitCodeOf, report, UsageError } from "./failures.ts";
import { doctor } from "./doctor.ts";
import { hash } from "./hash.ts";
import { HELP } from "./help.ts";
import { lock } from "./lock.ts";
import { orphans } from "./orphans.ts";
import { recover } from "./recover.ts";
import { say, watchOutput } from "./output.ts";
import { VERSION } from "./version.ts";
import { write } from "./write.ts";

const COMMANDS: Readonly<Record<string, (args: readonly string[]) => Promise<number>>> = {
  write,
  copy,
  hash,
  lock,
  orphans,
  recover,
  doctor,
  completion,
};

async function main(args: readonly string[]): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined) throw new UsageError("a command is missing");
  if (name === "--version" || name === "-V") return await say(VERSION);
  if (name === "--help" || name === "-h" || name === "help") return await say(HELP);
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (command === undefined) throw new UsageError(`unknown command ${JSON.stringify(name)}`);
  if (rest.includes("--help") && !rest.slice(0, rest.indexOf("--help")).includes("--")) {
    return await say(HELP);
  }
  return await command(rest);
}

watchOutput();
try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  report(error);
  process.exitCode = exitCodeOf(error);
}

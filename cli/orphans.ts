/** `crashsafe orphans DIR`. */

import { relative } from "node:path";
import process from "node:process";
import { type Orphan, sweepOrphans } from "../mod.ts";
import { UsageError } from "./failures.ts";
import { say } from "./output.ts";
import { countOnTerminal } from "./progress.ts";
import { parse } from "./publish_options.ts";
import { ageOf, quoted, sizeOf, table } from "./table.ts";

export async function orphans(args: readonly string[]): Promise<number> {
  const { values, positionals } = parse({
    args: [...args],
    options: {
      recursive: { type: "boolean", short: "r" },
      remove: { type: "boolean" },
      "older-than": { type: "string" },
      also: { type: "string", multiple: true },
      json: { type: "boolean" },
    },
    allowPositionals: true,
  });
  const [dir = "", ...rest] = positionals;
  if (dir === "" || rest.length > 0) throw new UsageError("wanted one DIR");
  const remove = values.remove === true;
  const progress = countOnTerminal("found");
  const report = await sweepOrphans(dir, {
    recursive: values.recursive === true,
    dryRun: !remove,
    also: (values.also ?? []) as ("oxen" | "aperture")[],
    onProgress: ({ found }) => progress.count(found),
    ...(values["older-than"] === undefined
      ? {}
      : { minAgeMs: millisecondsOf(values["older-than"]) }),
  }).finally(progress.end);
  for (const { error } of report.failed) process.stderr.write(`crashsafe: ${error.message}\n`);
  const status = report.failed.length > 0 ? 1 : 0;
  if (values.json) {
    const failed = report.failed.map(({ path, error }) => ({ path, code: error.code }));
    await say(JSON.stringify({ ...report, failed, dryRun: !remove }));
    return status;
  }
  const row = (
    what: string,
    { path, size, ageMs, writer, class: kind, owner }: Orphan,
  ): string[] => [
    what,
    sizeOf(size),
    ageOf(ageMs),
    writer === "crashsafe" ? `class ${kind}` : writer,
    owner === "dead" ? "dead" : "not known",
    quoted(relative(dir, path)),
  ];
  const rows = [
    ...report.removed.map((orphan) => row(remove ? "removed" : "orphan", orphan)),
    ...report.kept.map((orphan) => row("kept", orphan)),
    ...report.live.map((
      path,
    ) => ["in use", "", "", "class l", "alive", quoted(relative(dir, path))]),
    ...report.failed.map((
      { path, error },
    ) => ["failed", "", "", "", error.code, quoted(relative(dir, path))]),
  ];
  if (rows.length > 0) {
    await say(table(["", "SIZE", "AGE", "NAME SAYS", "WRITER", "FILE"], rows, [1, 2]));
  }
  const sum = `${report.removed.length} ${report.removed.length === 1 ? "file" : "files"}, ${
    sizeOf(report.bytes)
  }`;
  await say(remove ? `removed ${sum}` : `${sum} to be removed${hint(report.removed.length)}`);
  return status;
}

function hint(count: number): string {
  return count === 0 ? "" : " (crashsafe orphans --remove does it)";
}

/** `90`, `90s`, `15m`, `36h` or `7d`. */
export function millisecondsOf(text: string): number {
  const [, amount, unit = "s"] = /^(\d+(?:\.\d+)?)([smhd]?)$/.exec(text) ?? [];
  if (amount === undefined) {
    throw new UsageError(
      `--older-than must be like 90s, 15m, 36h or 7d, not ${JSON.stringify(text)}`,
    );
  }
  return Number(amount) * (UNIT_MS[unit || "s"] ?? 1000);
}

const UNIT_MS: Readonly<Record<string, number>> = { s: 1e3, m: 6e4, h: 3.6e6, d: 8.64e7 };

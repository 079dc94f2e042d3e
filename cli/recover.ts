/** `crashsafe recover ROOT`. */

import { relative } from "node:path";
import process from "node:process";
import { recoverStaleDirs } from "../mod.ts";
import { UsageError } from "./failures.ts";
import { say } from "./output.ts";
import { countOnTerminal } from "./progress.ts";
import { parse } from "./publish_options.ts";
import { quoted, table } from "./table.ts";

export async function recover(args: readonly string[]): Promise<number> {
  const { values, positionals } = parse({
    args: [...args],
    options: { "dry-run": { type: "boolean" }, json: { type: "boolean" } },
    allowPositionals: true,
  });
  const [root = "", ...rest] = positionals;
  if (root === "" || rest.length > 0) throw new UsageError("wanted one ROOT");
  const dryRun = values["dry-run"] === true;
  const progress = countOnTerminal("looked at");
  const report = await recoverStaleDirs(root, {
    dryRun,
    onProgress: ({ done, total }) => progress.count(done, total),
  }).finally(progress.end);
  for (const { error } of report.failed) process.stderr.write(`crashsafe: ${error.message}\n`);
  const status = report.failed.length > 0 ? 1 : 0;
  if (values.json) {
    const failed = report.failed.map(({ path, error }) => ({ path, code: error.code }));
    await say(JSON.stringify({ ...report, failed, dryRun }));
    return status;
  }
  const rows = [
    ...report.removed.map((path) => [dryRun ? "stale" : "removed", path]),
    ...report.live.map((path) => ["live", path]),
    ...report.ignored.map((path) => ["ignored", path]),
    ...report.failed.map(({ path, error }) => [`failed: ${error.code}`, path]),
  ].map(([what = "", path = ""]) => [what, quoted(relative(root, path))]);
  if (rows.length > 0) await say(table(["", "NAME"], rows));
  const { removed, live } = report;
  await say(`${removed.length} ${dryRun ? "to be removed" : "removed"}, ${live.length} live`);
  return status;
}

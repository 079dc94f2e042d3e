/** `crashsafe copy SOURCE TARGET`. */

import { statSync } from "node:fs";
import { basename, join } from "node:path";
import { AtomicFile } from "../mod.ts";
import { parsePublish, sayReceipt } from "./publish_options.ts";
import { progressBar } from "./progress.ts";

export async function copy(args: readonly string[]): Promise<number> {
  const { positionals: [source = "", target = ""], options, json } = parsePublish(args, [
    "SOURCE",
    "TARGET",
  ]);
  const bar = progressBar();
  const file = new AtomicFile(inside(target, source), {
    ...options,
    ...(bar === undefined ? {} : { onProgress: bar.show }),
  });
  try {
    return await sayReceipt(await file.copyFrom(source), json);
  } finally {
    bar?.clear();
  }
}

/** As cp(1): a directory as target means the same name in it. */
function inside(target: string, source: string): string {
  const isDirectory = target !== "" && statSync(target, { throwIfNoEntry: false })?.isDirectory();
  return isDirectory ? join(target, basename(source)) : target;
}

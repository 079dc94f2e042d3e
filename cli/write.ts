/** `crashsafe write TARGET`: a sponge(1) that survives a power cut. */

import process from "node:process";
import { AtomicFile } from "../mod.ts";
import { parsePublish, sayReceipt } from "./publish_options.ts";

export async function write(args: readonly string[]): Promise<number> {
  const { positionals: [target = ""], options, json } = parsePublish(args, ["TARGET"]);
  const file = new AtomicFile(target, options);
  if (process.stdin.isTTY) {
    process.stderr.write("crashsafe: reading standard input, end it with Ctrl-D\n");
  }
  return await sayReceipt(await file.stream(process.stdin), json);
}

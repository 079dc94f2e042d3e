// Sorts the lines of a file in place, through streams of Node. Killed at any moment, the file is sorted or as it was.
//
//   node examples/sorted_lines.ts FILE

import { AtomicFile } from "@crashsafe/fs";
import { createReadStream } from "node:fs";
import process from "node:process";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";

const path = process.argv[2] ?? "";
const lines: string[] = [];
for await (const line of createInterface({ input: createReadStream(path) })) lines.push(line);
lines.sort();
await new AtomicFile(path).stream(Readable.from(lines.map((line) => `${line}\n`)));

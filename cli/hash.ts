/** `crashsafe hash`: what xxhsum -H2, sha256sum, sha512sum and b3sum print, and their --check. */

import { readFileSync } from "node:fs";
import { Buffer } from "node:buffer";
import process from "node:process";
import { type HashAlgorithm, hashFile, hashStream } from "../mod.ts";
import { UsageError } from "./failures.ts";
import { say } from "./output.ts";
import { parse } from "./publish_options.ts";

const ALGORITHMS: readonly string[] = [
  "xxh3-128",
  "sha256",
  "sha512",
  "blake3",
] satisfies HashAlgorithm[];

export async function hash(args: readonly string[]): Promise<number> {
  const { values: { algorithm = "xxh3-128", check }, positionals } = parse({
    args: [...args],
    options: { algorithm: { type: "string" }, check: { type: "boolean" } },
    allowPositionals: true,
  });
  if (!ALGORITHMS.includes(algorithm)) {
    throw new UsageError(
      `--algorithm must be one of ${ALGORITHMS.join(", ")}, not ${JSON.stringify(algorithm)}`,
    );
  }
  const names = positionals.length === 0 ? ["-"] : positionals;
  const run = check ? checkList : printDigest;
  let status = 0;
  for (const name of names) status = Math.max(status, await run(name, algorithm as HashAlgorithm));
  return status;
}

async function printDigest(name: string, algorithm: HashAlgorithm): Promise<number> {
  try {
    const digest = await digestOf(name, algorithm);
    const label = name === "-" && algorithm === "xxh3-128" ? "stdin" : name;
    const shown = escapeName(label, algorithm);
    // A leading backslash says that the name is escaped, as sha256sum(1) has it.
    await say(`${shown === label ? "" : "\\"}${digest}  ${shown}`);
    return 0;
  } catch (error) {
    warn(`${name}: ${(error as Error).message}`);
    return 1;
  }
}

async function checkList(list: string, algorithm: HashAlgorithm): Promise<number> {
  let text: string;
  try {
    text = list === "-" ? await standardInput() : readFileSync(list, "utf8");
  } catch (error) {
    warn((error as Error).message);
    return 1;
  }
  const bad = { lines: 0, read: 0, digests: 0, good: 0 };
  for (const line of text.split("\n").filter((one) => one !== "")) {
    const entry = parseLine(line, algorithm);
    if (entry === undefined) {
      bad.lines++;
      continue;
    }
    const verdict = await verdictOn(entry.name, entry.digest, algorithm);
    await say(`${entry.name.replaceAll("\n", "\\n")}: ${verdict}`);
    if (verdict === "OK") bad.good++;
    else if (verdict === "FAILED") bad.digests++;
    else bad.read++;
  }
  if (bad.lines > 0) {
    warn(`WARNING: ${count(bad.lines, "line is", "lines are")} improperly formatted`);
  }
  if (bad.read > 0) {
    warn(`WARNING: ${count(bad.read, "listed file", "listed files")} could not be read`);
  }
  if (bad.digests > 0) {
    warn(`WARNING: ${count(bad.digests, "computed checksum", "computed checksums")} did NOT match`);
  }
  if (bad.good + bad.digests + bad.read === 0) {
    warn(`${list}: no properly formatted checksum lines found`);
  }
  return bad.good > 0 && bad.digests + bad.read === 0 ? 0 : 1;
}

async function standardInput(): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}

async function verdictOn(name: string, digest: string, algorithm: HashAlgorithm): Promise<string> {
  try {
    return await digestOf(name, algorithm) === digest ? "OK" : "FAILED";
  } catch (error) {
    warn(`${name}: ${(error as Error).message}`);
    return "FAILED open or read";
  }
}

function digestOf(name: string, algorithm: HashAlgorithm): Promise<string> {
  return name === "-" ? hashStream(process.stdin, algorithm) : hashFile(name, algorithm);
}

function parseLine(
  line: string,
  algorithm: HashAlgorithm,
): { name: string; digest: string } | undefined {
  const length = { "xxh3-128": 32, sha256: 64, sha512: 128, blake3: 64 }[algorithm];
  const match = new RegExp(`^(\\\\?)([0-9a-fA-F]{${length}}) [ *](.+)$`).exec(line);
  if (match === null) return undefined;
  const [, escaped, digest = "", name = ""] = match;
  return { digest: digest.toLowerCase(), name: escaped === "" ? name : unescapeName(name) };
}

function escapeName(name: string, algorithm: HashAlgorithm): string {
  const escaped = name.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
  // b3sum leaves a carriage return as it is.
  return algorithm === "blake3" ? escaped : escaped.replaceAll("\r", "\\r");
}

function unescapeName(name: string): string {
  return name.replace(/\\([\\nr])/g, (_, one: string) => ({ n: "\n", r: "\r" })[one] ?? "\\");
}

function count(number: number, one: string, more: string): string {
  return `${number} ${number === 1 ? one : more}`;
}

function warn(message: string): void {
  process.stderr.write(`crashsafe: ${message}\n`);
}

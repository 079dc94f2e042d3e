/** The options that `write` and `copy` share. */

import { parseArgs, type ParseArgsConfig } from "node:util";
import type { AtomicWriteOptions, Durability, HashAlgorithm, Receipt } from "../mod.ts";
import { UsageError } from "./failures.ts";
import { say } from "./output.ts";

const OPTIONS = {
  hash: { type: "string" },
  algorithm: { type: "string" },
  mtime: { type: "string" },
  mode: { type: "string" },
  durability: { type: "string" },
  "require-durability": { type: "boolean" },
  "no-clobber": { type: "boolean" },
  symlink: { type: "string" },
  parents: { type: "boolean" },
  json: { type: "boolean" },
} as const;

/** A parsed command line. */
export interface PublishCommand {
  readonly positionals: readonly string[];
  readonly options: AtomicWriteOptions;
  readonly json: boolean;
}

/** Reads the command line of `write` or `copy`; `names` are its arguments. */
export function parsePublish(args: readonly string[], names: readonly string[]): PublishCommand {
  const { values, positionals } = parse({
    args: [...args],
    options: OPTIONS,
    allowPositionals: true,
  });
  if (positionals.length !== names.length) {
    throw new UsageError(`wanted ${names.join(" and ")}, got ${positionals.length} arguments`);
  }
  const { hash, algorithm, mtime, mode, durability, symlink } = values;
  if (algorithm !== undefined && hash === undefined) {
    throw new UsageError("--algorithm needs --hash");
  }
  return {
    positionals,
    json: values.json === true,
    options: {
      parents: values.parents ? "create" : "require",
      existing: values["no-clobber"] ? "fail" : "replace",
      requireDurability: values["require-durability"] === true,
      // What these may be is checked by the API itself.
      ...(durability === undefined ? {} : { durability: durability as Durability }),
      ...(symlink === undefined ? {} : { symlink: symlink as "follow" }),
      ...(mode === undefined ? {} : { mode: parseMode(mode) }),
      ...(mtime === undefined ? {} : { mtime: parseTime(mtime) }),
      ...(hash === undefined ? {} : {
        hash: {
          digest: hash,
          ...(algorithm === undefined ? {} : { algorithm: algorithm as HashAlgorithm }),
        },
      }),
    },
  };
}

/** parseArgs, whose complaints are usage errors. */
export function parse<T extends ParseArgsConfig>(config: T): ReturnType<typeof parseArgs<T>> {
  try {
    return parseArgs(config);
  } catch (error) {
    throw new UsageError((error as Error).message.split(". ")[0] ?? "");
  }
}

/** Prints the receipt if that was asked for. */
export async function sayReceipt(receipt: Receipt, json: boolean): Promise<number> {
  if (!json) return 0;
  return await say(
    JSON.stringify(receipt, (_, value) => typeof value === "bigint" ? String(value) : value),
  );
}

function parseMode(text: string): number {
  if (!/^[0-7]{1,4}$/.test(text)) {
    throw new UsageError(`--mode must be octal, not ${JSON.stringify(text)}`);
  }
  return parseInt(text, 8);
}

/** RFC 3339 or @seconds, to the nanosecond. */
export function parseTime(text: string): bigint {
  const epoch = /^@(-?)(\d+)(?:\.(\d{1,9}))?$/.exec(text);
  if (epoch !== null) {
    const [, sign, seconds = "", fraction = ""] = epoch;
    const ns = BigInt(seconds) * 1_000_000_000n + BigInt(fraction.padEnd(9, "0"));
    return sign === "-" ? -ns : ns;
  }
  const rfc = /^(\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)$/.exec(
    text,
  );
  const ms = rfc === null
    ? NaN
    : Date.parse(`${rfc[1]?.replace(/[t ]/, "T")}${rfc[3]?.toUpperCase()}`);
  if (Number.isNaN(ms)) {
    throw new UsageError(
      `--mtime must be like 2024-05-01T12:00:00Z or @1714564800.5, not ${JSON.stringify(text)}`,
    );
  }
  return BigInt(ms) * 1_000_000n + BigInt((rfc?.[2] ?? "").padEnd(9, "0"));
}

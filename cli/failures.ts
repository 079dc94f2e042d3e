/** Errors as lines on standard error, and as exit statuses. */

import process from "node:process";
import { DurabilityUnknownError, HashMismatchError, PublishError } from "../mod.ts";

/** The command line is wrong. */
export class UsageError extends Error {}

/** The exit status that an error stands for; the help lists them. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError || error instanceof TypeError) return 2;
  if (error instanceof DurabilityUnknownError) return 3;
  if (error instanceof HashMismatchError) return 4;
  if (error instanceof PublishError && error.code === "EEXIST") return 5;
  return 1;
}

/** One line, no stack. */
export function report(error: unknown): void {
  const message = error instanceof Error ? error.message : String(error);
  const hint = error instanceof UsageError ? " (see crashsafe --help)" : "";
  process.stderr.write(`crashsafe: ${message}${hint}\n`);
}

import process from "node:process";
import { test } from "node:test";

/** What this package runs on. */
export type Runtime = "deno" | "bun" | "node";

/** The runtime that runs this test. */
export const runtime: Runtime = "Deno" in globalThis
  ? "deno"
  : "Bun" in globalThis
  ? "bun"
  : "node";

/** Whether this is a Node whose permission model can be tested. */
export const nodeWithPermissions: boolean = runtime === "node" &&
  Number(process.versions.node.split(".")[0]) >= 24;

/** A test of what only some runtimes have: where they have not, there is nothing to skip. */
export function testWhere(has: boolean, name: string, body: () => void | Promise<void>): void {
  if (has) test(name, body);
}

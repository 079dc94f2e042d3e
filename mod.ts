/**
 * Crash-safe files for Deno, Bun and Node: a file is published whole or not at all, and once a write has
 * resolved it survives a power cut.
 *
 * This door finds out which runtime it is in. There are explicit ones too: `@crashsafe/fs/deno`,
 * `@crashsafe/fs/bun` and `@crashsafe/fs/node`.
 *
 * @example Replace a file, all or nothing
 * ```ts
 * import { atomicWrite } from "@crashsafe/fs";
 * import { mkdtempSync, rmSync } from "node:fs";
 *
 * const dir = mkdtempSync("example-");
 * await atomicWrite(`${dir}/settings.json`, JSON.stringify({ theme: "dark" }));
 * rmSync(dir, { recursive: true });
 * ```
 *
 * @module
 */

import { setDefaultAdapter } from "./src/base/default_adapter.ts";
import { bunAdapter } from "./adapters/bun.ts";
import { denoAdapter } from "./adapters/deno.ts";
import { nodeAdapter } from "./adapters/node.ts";

// Deno first: it answers to the names of Node too. No top-level await: Node's require() must work.
setDefaultAdapter(
  "Deno" in globalThis ? denoAdapter : "Bun" in globalThis ? bunAdapter : nodeAdapter,
);

export * from "./src/public.ts";

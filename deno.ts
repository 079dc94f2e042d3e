/**
 * The door for Deno: the whole API on Deno's own file system.
 *
 * @module
 */

import { setDefaultAdapter } from "./src/base/default_adapter.ts";
import { denoAdapter } from "./adapters/deno.ts";

setDefaultAdapter(denoAdapter);

export * from "./src/public.ts";

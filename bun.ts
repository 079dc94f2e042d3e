/**
 * The door for Bun: the whole API on Bun's own file system.
 *
 * @module
 */

import { setDefaultAdapter } from "./src/base/default_adapter.ts";
import { bunAdapter } from "./adapters/bun.ts";

setDefaultAdapter(bunAdapter);

export * from "./src/public.ts";

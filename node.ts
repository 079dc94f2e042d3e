/**
 * The door for Node: the whole API on Node's own file system.
 *
 * @module
 */

import { setDefaultAdapter } from "./src/base/default_adapter.ts";
import { nodeAdapter } from "./adapters/node.ts";

setDefaultAdapter(nodeAdapter);

export * from "./src/public.ts";

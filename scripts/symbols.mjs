// Every public symbol has an example: `deno doc --lint` asks for words only.

import { must, tool } from "./lib.mjs";

/** Throws the names of those without one. */
export async function checkSymbols(doors) {
  const { nodes } = JSON.parse(await must(tool("deno"), ["doc", "--json", ...doors]));
  const without = new Set();
  let symbols = 0;
  for (const { symbols: found = [] } of Object.values(nodes)) {
    for (const { name, declarations } of found) {
      for (const { kind, jsDoc } of declarations) {
        // Told where it is declared.
        if (kind === "reference") continue;
        symbols++;
        if (!jsDoc?.tags?.some((tag) => tag.kind === "example")) without.add(name);
      }
    }
  }
  if (symbols === 0) throw new Error("deno doc --json says nothing that is understood here");
  if (without.size > 0) throw new Error(`without an example: ${[...without].join(", ")}`);
}

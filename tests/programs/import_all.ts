// Imports every door that this runtime can load; says what changed in the process because of it.

import { readdirSync } from "node:fs";
import process from "node:process";

const before = {
  listeners: process.eventNames().map((name) => process.listenerCount(name)).join(),
  resources: process.getActiveResourcesInfo?.().filter((name) => /Timeout|Immediate/.test(name)),
  state: Symbol.for("@crashsafe/fs/state/1") in globalThis,
};
const api = await import("@crashsafe/fs");
await import("@crashsafe/fs/testing");
await import(
  `@crashsafe/fs/${"Deno" in globalThis ? "deno" : "Bun" in globalThis ? "bun" : "node"}`
);
new api.AtomicFile("never/written", { hash: "00".repeat(16), mtime: 0 });
const after = {
  listeners: process.eventNames().map((name) => process.listenerCount(name)).join(),
  resources: process.getActiveResourcesInfo?.().filter((name) => /Timeout|Immediate/.test(name)),
  state: Symbol.for("@crashsafe/fs/state/1") in globalThis,
};
console.log(JSON.stringify([before, after]));
console.log(readdirSync(".").length);

// Importing the package must start nothing: this ends at once, and says what it found.

import process from "node:process";

const signals = [
  "SIGINT",
  "SIGTERM",
  "SIGHUP",
  "SIGQUIT",
  "exit",
  "uncaughtException",
  "beforeExit",
];
const count = (): number => signals.reduce((sum, name) => sum + process.listenerCount(name), 0);
const before = count();
await import("@crashsafe/fs");
console.log(count() - before, Symbol.for("@crashsafe/fs/state/1") in globalThis);

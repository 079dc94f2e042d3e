// Compiles a small program against the packed types with old and new compilers.

import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { must } from "./lib.mjs";

const COMPILERS = ["5.4", "5.9", "6", "7"];

const CONSUMER = `
import { AtomicFile, atomicWrite, atomicWriteSync, PublishError, type Receipt, readVerified } from "@crashsafe/fs";
import { AtomicFile as FromNode } from "@crashsafe/fs/node";
import * as kit from "@crashsafe/fs/testing";

export async function use(): Promise<Receipt> {
  const receipt = await atomicWrite("a", "text", { durability: "file", mode: 0o600 });
  const same: boolean = FromNode === AtomicFile;
  const bytes: number = receipt.bytes + (await readVerified("a", "00")).byteLength;
  try {
    atomicWriteSync("a", new Uint8Array(1));
  } catch (error) {
    if (error instanceof PublishError) console.log(error.code, same, bytes, Object.keys(kit));
  }
  // @ts-expect-error: no such level
  atomicWriteSync("a", "b", { durability: "most" });
  return await new AtomicFile("b").withHash("00").withMtime(1n).write("b");
}
`;

/** Throws what the first compiler says that does not accept the types. */
export async function checkTypes(dir, project) {
  const consumer = join(dir, "types");
  mkdirSync(consumer);
  writeFileSync(join(consumer, "package.json"), JSON.stringify({ private: true, type: "module" }));
  writeFileSync(join(consumer, "consumer.ts"), CONSUMER);
  const compilers = COMPILERS.map((version) => `ts-${version}@npm:typescript@${version}`);
  await must("npm", [
    "install",
    "--no-audit",
    "--no-fund",
    "--silent",
    "--no-save",
    ...compilers,
    "@types/node@20",
  ], {
    cwd: consumer,
  });
  // After npm, which would remove what package.json does not name.
  cpSync(join(project, "node_modules"), join(consumer, "node_modules"), { recursive: true });
  for (const version of COMPILERS) {
    for (const [module, resolution] of [["nodenext", "nodenext"], ["esnext", "bundler"]]) {
      const compiler = join(consumer, "node_modules", `ts-${version}`, "bin", "tsc");
      await must(process.execPath, [
        compiler,
        "--noEmit",
        "--strict",
        "--exactOptionalPropertyTypes",
        "--target",
        "es2022",
        "--lib",
        "es2023,dom,dom.iterable",
        "--module",
        module,
        "--moduleResolution",
        resolution,
        "--types",
        "node",
        "consumer.ts",
      ], { cwd: consumer });
    }
  }
}

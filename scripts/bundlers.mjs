// A small program that uses the installed package, put into one file by each bundler and run alone: what a bundler drops
// (the doors set their adapter as a side effect) or cannot follow (hash-wasm's and the C library's late imports) shows here.

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { must, tool } from "./lib.mjs";

const PROGRAM = `
import { atomicWrite, AtomicFile, findOrphans, FileLock, readVerified } from "@crashsafe/fs";

const directory = process.argv[2];
const large = new Uint8Array(200_000).fill(7);
const lock = await FileLock.acquire(directory + "/lock");
await atomicWrite(directory + "/text", "bundled");
const { hash } = await new AtomicFile(directory + "/large").withHash(process.argv[3]).write(large);
await readVerified(directory + "/large", hash);
try {
  await new AtomicFile(directory + "/large").withHash("00".repeat(16)).write(large);
} catch (error) {
  console.log(error.name, hash === process.argv[3]);
}
for await (const { path } of findOrphans(directory)) console.log("left behind", path);
await lock.release();
`;
/** `xxhsum -H2` of 200,000 bytes of 7. */
const DIGEST = "33f0d06909a037e11c8a691d3bbbbe72";
const EXPECTED = "HashMismatchError true\n";

/** Each takes an input and an output. koffi is not named here: it is looked for when the program runs. */
export const BUNDLERS = {
  "esbuild": (input, output) => withEsbuild(input, output, {}),
  "esbuild, minified": (input, output) => withEsbuild(input, output, { minify: true }),
  "rolldown": withRolldown,
  "bun build for Node": (input, output) => withBun(input, output, "node"),
  "bun build for Bun": (input, output) => withBun(input, output, "bun"),
};

/** Bundles with `name` in a project that has the package, runs the result elsewhere, and looks at what it wrote. */
export async function bundleAndRun(name, project, dir) {
  const place = join(dir, `bundled ${name}`);
  mkdirSync(join(place, "written"), { recursive: true });
  const input = join(project, "bundled_program.mjs");
  const output = join(place, "program.mjs");
  writeFileSync(input, PROGRAM);
  await BUNDLERS[name](input, output);
  const runtime = name.endsWith("for Bun") ? tool("bun") : process.execPath;
  const stdout = await must(runtime, [output, join(place, "written"), DIGEST], { cwd: place });
  if (stdout !== EXPECTED) throw new Error(`it said ${JSON.stringify(stdout)}`);
  const written = readdirSync(join(place, "written")).sort().join();
  if (written !== "large,lock,text") throw new Error(`it left ${written}`);
  if (readFileSync(join(place, "written", "text"), "utf8") !== "bundled") {
    throw new Error("it wrote something else");
  }
}

async function withEsbuild(input, output, options) {
  const always = { bundle: true, platform: "node", format: "esm", logLevel: "error" };
  await build({ ...always, ...options, entryPoints: [input], outfile: output });
}

async function withRolldown(input, output) {
  // Here, because it is native code that not every platform has.
  const { rolldown } = await import("rolldown");
  const bundle = await rolldown({ input, platform: "node" });
  await bundle.write({ file: output, codeSplitting: false });
  await bundle.close();
}

async function withBun(input, output, target) {
  await must(tool("bun"), ["build", "--target", target, "--outfile", output, input]);
}

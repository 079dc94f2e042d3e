// `npm run dependencies`: writes docs/dependencies.md from package-lock.json. `npm run check` compares, so that nothing
// comes in without a line that says what it is for, nor under a licence that nobody has looked at.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { must, root, tool, withTempDir } from "./lib.mjs";

const PAGE = join(root, "docs", "dependencies.md");

const PURPOSES = {
  "hash-wasm": "xxh3-128 of large files and BLAKE3, loaded at their first use",
  "koffi": "flock(2) and utimensat(2) on Node 20 to 24",
  "@arethetypeswrong/cli": "checks the types of the packed package",
  "@types/deno": "types of Deno",
  "@types/node": "types of Node",
  "atomically": "a peer in the figures",
  "bun": "a runtime that the tests run on",
  "bun-types": "types of Bun",
  "deno": "a runtime that the tests run on; formatter, linter, documentation",
  "esbuild": "puts the modules of the npm package together",
  "fast-write-atomic": "a peer in the figures",
  "proper-lockfile": "a peer in the figures",
  "publint": "checks the packed package",
  "rolldown": "a bundler that the package is tested with",
  "steno": "a peer in the figures",
  "typescript": "compiles the npm package's types, and checks",
  "write-file-atomic": "a peer in the figures",
};

/** All of them let the package be used and passed on under its own licence. */
const LICENCES = [
  "MIT",
  "ISC",
  "Apache-2.0",
  "BSD-2-Clause",
  "BSD-3-Clause",
  "BlueOak-1.0.0",
  "0BSD",
];

export async function checkDependencies() {
  if (readFileSync(PAGE, "utf8") !== await page(manifests())) {
    throw new Error("docs/dependencies.md is out of date: run `npm run dependencies`");
  }
}

function manifests() {
  const read = (name) => JSON.parse(readFileSync(join(root, name), "utf8"));
  return {
    development: read("package.json"),
    published: read("npm/package.json"),
    jsr: read("deno.json"),
    lock: read("package-lock.json").packages,
  };
}

/** The page; throws what stands in the way of it. */
export async function page({ development, published, jsr, lock }) {
  const faults = [];
  const of = (name) => lock[`node_modules/${name}`];
  const runtime = published.dependencies ?? {};
  const peers = published.peerDependencies ?? {};
  const own = development.devDependencies ?? {};
  for (
    const [place, dependencies] of [
      ["package.json", development.dependencies ?? {}],
      ["deno.json", jsrDependencies(jsr)],
    ]
  ) {
    if (same(dependencies, runtime)) continue;
    faults.push(`${place} and npm/package.json do not name the same dependencies`);
  }
  for (const [path, { license }] of Object.entries(lock)) {
    if (path === "" || LICENCES.includes(license)) continue;
    faults.push(`${path} has the licence ${license}, which nobody has looked at`);
  }
  const rows = (dependencies) =>
    Object.keys(dependencies).sort().map((name) => {
      if (PURPOSES[name] === undefined) faults.push(`${name}: say what it is for`);
      const { version, license } = of(name) ?? {};
      return [`[${name}](https://www.npmjs.com/package/${name})`, version, license, PURPOSES[name]];
    });
  const behind = (name) =>
    Object.keys({ ...of(name)?.dependencies, ...of(name)?.optionalDependencies });
  for (const name of Object.keys(runtime)) {
    if (behind(name).length > 0) {
      faults.push(`${name} has dependencies: ${behind(name).join(", ")}`);
    }
  }
  for (const name of Object.keys(PURPOSES)) {
    if (!(name in { ...runtime, ...peers, ...own })) {
      faults.push(`${name} is no dependency any more`);
    }
  }
  const direct = new Set(Object.keys({ ...runtime, ...peers, ...own }));
  const indirect = Object.entries(lock).filter(([path]) =>
    path !== "" && !direct.has(path.replace(/^node_modules\//, ""))
  );
  const counted = Object.entries(countBy(indirect, ([, { license }]) => license));
  const text = `# Dependencies

\`npm run dependencies\` writes this page from \`package-lock.json\`; \`npm run check\` compares.

## What an install brings

${table(["package", "tested version", "licence", "what for"], rows(runtime))}

It has no dependencies of its own.

## Optional, installed by whoever wants it

${table(["package", "tested version", "licence", "what for"], rows(peers))}

## For work on this package only

${table(["package", "version", "licence", "what for"], rows(without(own, peers)))}

What these bring along, builds for other platforms included:

${table(["licence", "packages"], counted.sort(([a], [b]) => a < b ? -1 : 1))}
`;
  if (faults.length > 0) throw new Error(faults.join("\n"));
  return await formatted(text);
}

/** `{ "hash-wasm": "^4" }` of `{ "hash-wasm": "npm:hash-wasm@^4" }`. */
function jsrDependencies({ imports = {} }) {
  return Object.fromEntries(
    Object.values(imports).map((target) =>
      /^npm:(.+)@(.+)$/.exec(target)?.slice(1) ?? [target, ""]
    ),
  );
}

function same(one, other) {
  const sorted = (dependencies) => JSON.stringify(Object.entries(dependencies).sort());
  return sorted(one) === sorted(other);
}

function without(dependencies, others) {
  return Object.fromEntries(Object.entries(dependencies).filter(([name]) => !(name in others)));
}

function countBy(items, key) {
  const counts = {};
  for (const item of items) counts[key(item)] = (counts[key(item)] ?? 0) + 1;
  return counts;
}

function table(head, rows) {
  const line = (cells) => `| ${cells.join(" | ")} |`;
  return [head, head.map(() => "---"), ...rows].map(line).join("\n");
}

/** As `deno fmt` wants it. */
async function formatted(text) {
  return await withTempDir(async (dir) => {
    const file = join(dir, "page.md");
    writeFileSync(file, text);
    await must(tool("deno"), ["fmt", "--quiet", "--config", join(root, "deno.json"), file]);
    return readFileSync(file, "utf8");
  });
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  writeFileSync(PAGE, await page(manifests()));
}

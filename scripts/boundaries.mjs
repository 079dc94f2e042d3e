// Which file may import which: the rules of docs/architecture.md, over `deno info --json`.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { must, root, tool } from "./lib.mjs";

const DOORS = ["mod.ts", "deno.ts", "bun.ts", "node.ts"];
/** Floors of src, lowest first; a file imports its own floor and those below. */
const FLOORS = ["base", "hash", "lock", "scratch", "atomic", "temp"];

/** Strings count as code here: `globalThis["Deno"]` names a runtime too. An adapter's `process` is its own business. */
const FORBIDDEN_IN_SRC = [
  [/\b(?:Deno|Bun)\b/, "names a runtime"],
  [/(?<![.\w])process\b\s*(?:\?\.|[.[])/, "names a runtime"],
  [/(?:\bglobalThis|\))\s*\??\.\s*process\b|["'`]process["'`]/, "names a runtime"],
  [/\b(?:require|createRequire|getBuiltinModule)\b\s*\(/, "loads what no check can see"],
  [/\bimport\s*\(\s*(?!["'\s])[^)]*\)?/, "loads what no check can see"],
];

/** Every broken rule among modules `{ file, imports, text }`, one line each. */
export function violations(modules) {
  const found = [];
  for (const { file, imports, text } of modules) {
    for (const target of imports) {
      const reason = forbidden(file, target);
      if (reason !== undefined) found.push(`${file} imports ${target}: ${reason}`);
    }
    if (file.startsWith("src/")) {
      const floor = file.split("/").length === 2 ? undefined : file.split("/")[1];
      if (floor !== undefined && !FLOORS.includes(floor)) found.push(`${file}: no such floor`);
      const code = withoutComments(text);
      for (const [pattern, reason] of FORBIDDEN_IN_SRC) {
        const name = pattern.exec(code)?.[0];
        if (name !== undefined) found.push(`${file} ${reason}: ${name}`);
      }
    }
  }
  return [...found, ...cycles(modules)];
}

function forbidden(file, target) {
  const area = (path) => DOORS.includes(path) ? "door" : path.split("/")[0];
  const outside = !/\.tsx?$/.test(target);
  switch (area(file)) {
    case "door":
      return ["adapters", "src"].includes(area(target))
        ? undefined
        : "a door imports adapters and src only";
    case "adapters":
      if (target.startsWith("node:") || target.startsWith("adapters/")) return undefined;
      return target.startsWith("src/base/")
        ? undefined
        : "an adapter knows types and errors of src/base only";
    case "src": {
      if (outside) {
        return ["node:path", "hash-wasm"].includes(target)
          ? undefined
          : "src imports src, node:path and hash-wasm only";
      }
      if (!target.startsWith("src/")) return "src imports src only";
      const floor = (path) =>
        path.split("/").length === 2 ? FLOORS.length : FLOORS.indexOf(path.split("/")[1]);
      return floor(target) <= floor(file) ? undefined : "it is on a higher floor";
    }
    case "testing.ts":
      return target.startsWith("testing/") || target.startsWith("src/")
        ? undefined
        : "the testing door imports testing and src only";
    case "testing":
      if (target === "node:path") return undefined;
      return /^(?:testing|src)\//.test(target)
        ? undefined
        : "the testing kit imports testing and src only";
    case "cli":
      return target.startsWith("node:") || target === "mod.ts" || target.startsWith("cli/")
        ? undefined
        : "the command is a thin layer over mod.ts";
    default:
      return undefined;
  }
}

function withoutComments(text) {
  // Strings are matched so that a `//` in one starts no comment.
  const parts =
    /\/\*[\s\S]*?\*\/|\/\/.*$|`(?:\\[\s\S]|[^`\\])*`|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'/gm;
  return text.replace(parts, (part) => part.startsWith("/") ? " " : part);
}

function cycles(modules) {
  const imports = new Map(modules.map((module) => [module.file, module.runtimeImports]));
  const done = new Set();
  const found = [];
  const visit = (file, path) => {
    const at = path.indexOf(file);
    if (at >= 0) return void found.push(`a cycle: ${[...path.slice(at), file].join(" -> ")}`);
    if (done.has(file)) return;
    for (const target of imports.get(file) ?? []) visit(target, [...path, file]);
    done.add(file);
  };
  for (const file of imports.keys()) visit(file, []);
  return found;
}

/** All modules that the doors reach. */
export async function projectModules() {
  const modules = new Map();
  for (const entry of [...DOORS, "testing.ts", "cli/main.ts"]) {
    const info = JSON.parse(await must(tool("deno"), ["info", "--json", entry]));
    for (const { specifier, dependencies = [] } of info.modules) {
      if (!specifier.startsWith(pathToFileURL(root).href)) continue;
      const file = local(specifier);
      modules.set(file, {
        file,
        text: readFileSync(join(root, file), "utf8"),
        imports: dependencies.map((one) =>
          imported(one, one.code?.specifier ?? one.type?.specifier)
        ),
        runtimeImports: dependencies.flatMap((one) =>
          one.code?.specifier ? [imported(one, one.code.specifier)] : []
        ),
      });
    }
  }
  return [...modules.values()];
}

/** Sources that no door imports: nobody would check them, and nobody uses them. */
function unreached(modules) {
  const reached = new Set(modules.map(({ file }) => file));
  return ["src", "adapters", "testing", "cli"]
    .filter((area) => existsSync(join(root, area)))
    .flatMap((area) =>
      readdirSync(join(root, area), { recursive: true }).map((name) => `${area}/${name}`)
    )
    .filter((file) => file.endsWith(".ts") && !reached.has(file))
    .map((file) => `${file}: no door reaches it`);
}

function imported(dependency, resolved) {
  return resolved?.startsWith("file:") ? local(resolved) : dependency.specifier;
}

function local(specifier) {
  return relative(root, fileURLToPath(specifier)).replaceAll("\\", "/");
}

export async function checkBoundaries() {
  const modules = await projectModules();
  const found = [...violations(modules), ...unreached(modules)];
  if (found.length > 0) throw new Error(found.join("\n"));
  if (modules.length < 20) throw new Error(`only ${modules.length} modules were found`);
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) await checkBoundaries();

// What the documents point to is there: relative links and their headings, and files of the project that are named.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { root } from "./lib.mjs";

export function checkLinks() {
  const documents = [".", "docs"].flatMap((dir) =>
    readdirSync(join(root, dir)).filter((name) => name.endsWith(".md")).map((name) =>
      join(dir, name)
    )
  );
  const broken = documents.flatMap((document) => brokenLinks(document));
  if (broken.length > 0) throw new Error(broken.join("\n"));
  if (documents.length < 6) throw new Error(`only ${documents.length} documents were found`);
}

function brokenLinks(document) {
  const text = readFileSync(join(root, document), "utf8").replace(/^```[\s\S]*?^```$/gm, "");
  const broken = [];
  for (const [, target] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
    if (/^[a-z]+:/.test(target)) continue;
    const [path, heading] = target.split("#");
    const file = path === "" ? document : normalize(join(dirname(document), path));
    if (!existsSync(join(root, file))) broken.push(`${document}: ${target} is missing`);
    else if (heading !== undefined && !headings(file).has(heading)) {
      broken.push(`${document}: ${target} has no such heading`);
    }
  }
  // `tests/a/b.test.ts`; one with a star must be there at least once.
  for (
    const [, name] of text.matchAll(/`((?:tests|src|scripts|docs|examples|cli)\/[\w./*-]*\w)`/g)
  ) {
    if (!named(name)) broken.push(`${document}: ${name} is missing`);
  }
  return broken;
}

function named(name) {
  if (!name.includes("*")) {
    return existsSync(join(root, name)) || existsSync(join(root, `${name}.mjs`));
  }
  const [before, after] = name.split("/").at(-1).split("*");
  return readdirSync(join(root, dirname(name))).some((one) =>
    one.startsWith(before) && one.endsWith(after)
  );
}

/** As GitHub makes the anchors of headings. */
function headings(file) {
  const text = readFileSync(join(root, file), "utf8");
  return new Set(
    [...text.matchAll(/^#+ (.+)$/gm)].map(([, title]) =>
      title.toLowerCase().replace(/[^\p{L}\p{N} _-]/gu, "").replaceAll(" ", "-")
    ),
  );
}

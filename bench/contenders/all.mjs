// Who replaces a file. A contender is { name, form: "sync" | "async" } and at least one of:
//   replace(path, bytes)      one file
//   replaceAll(paths, bytes)  many files of one directory in one call
//   stream(path, chunks)      one file from an iterable of chunks
// and perhaps samePath: true, for who writes the same file as often, and forget(): drops what it keeps for each path.

import { atomically } from "./atomically.mjs";
import { crashsafe } from "./crashsafe.mjs";
import { fastWriteAtomics } from "./fast_write_atomic.mjs";
import { rawNode } from "./raw_node.mjs";
import { steno } from "./steno.mjs";
import { writeFileAtomics } from "./write_file_atomic.mjs";

/** All of them; `module` is the URL of this package as this runtime loads it. */
export async function allContenders(module) {
  return [
    ...rawNode,
    ...await crashsafe(module),
    ...writeFileAtomics,
    ...atomically,
    ...fastWriteAtomics,
    ...steno,
  ];
}

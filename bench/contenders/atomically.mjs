// A rewrite of write-file-atomic that tries again when descriptors run out: https://www.npmjs.com/package/atomically

import { writeFile, writeFileSync } from "atomically";

export const atomically = [
  { name: "atomically, sync", form: "sync", replace: (path, bytes) => writeFileSync(path, bytes) },
  { name: "atomically", form: "async", replace: (path, bytes) => writeFile(path, bytes) },
];

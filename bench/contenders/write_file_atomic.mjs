// npm's own: https://www.npmjs.com/package/write-file-atomic

import writeFileAtomic from "write-file-atomic";

export const writeFileAtomics = [
  { name: "write-file-atomic, sync", form: "sync", replace: writeFileAtomic.sync },
  {
    name: "write-file-atomic",
    form: "async",
    replace: (path, bytes) => writeFileAtomic(path, bytes),
  },
];

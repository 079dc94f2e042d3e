// Callbacks and as few calls as it takes: https://www.npmjs.com/package/fast-write-atomic

import fastWriteAtomic from "fast-write-atomic";

export const fastWriteAtomics = [
  { name: "fast-write-atomic", form: "async", replace: fastWriteAtomic.promise },
];

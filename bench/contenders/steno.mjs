// One writer a file, which drops what a later call replaces: https://www.npmjs.com/package/steno

import { Writer } from "steno";

const writers = new Map();

export const steno = [{
  name: "steno",
  form: "async",
  replace(path, bytes) {
    let writer = writers.get(path);
    if (writer === undefined) writers.set(path, writer = new Writer(path));
    return writer.write(bytes);
  },
  // A job's writers would otherwise be the next job's heap.
  forget: () => writers.clear(),
}];

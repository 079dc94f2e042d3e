// This package. What a version of it does not have yet has no row: a figure for it would be another call's.

const FILE = { durability: "file" };
const COALESCE = { coalesce: true };

export async function crashsafe(module) {
  const library = await import(module);
  const { AtomicFile, atomicWrite, atomicWriteSync, atomicWriteAll, atomicWriteAllSync } = library;
  const contenders = [
    { name: "atomicWriteSync", form: "sync", replace: atomicWriteSync },
    {
      name: "atomicWrite",
      form: "async",
      replace: atomicWrite,
      stream: (path, chunks) => new AtomicFile(path).stream(chunks),
    },
    {
      name: "atomicWriteSync, durability file",
      form: "sync",
      replace: (path, bytes) => atomicWriteSync(path, bytes, FILE),
    },
    {
      name: "atomicWrite, durability file",
      form: "async",
      replace: (path, bytes) => atomicWrite(path, bytes, FILE),
    },
  ];
  if (knowsCoalesce(atomicWriteSync)) {
    contenders.push({
      name: "atomicWrite, coalesce, one path",
      form: "async",
      samePath: true,
      replaceAll: (paths, bytes) =>
        Promise.all(paths.map((path) => atomicWrite(path, bytes, COALESCE))),
    });
  }
  if (typeof atomicWriteAll === "function") {
    contenders.push({
      name: "atomicWriteAll",
      form: "async",
      replaceAll: (paths, bytes) => atomicWriteAll(paths.map((path) => ({ path, data: bytes }))),
    });
  }
  if (typeof atomicWriteAllSync === "function") {
    // Blocks the thread, and may use one syncfs(2) for all.
    contenders.push({
      name: "atomicWriteAllSync",
      form: "async",
      replaceAll: (paths, bytes) =>
        atomicWriteAllSync(paths.map((path) => ({ path, data: bytes }))),
    });
  }
  return contenders;
}

/**
 * Whether this version reads the option: refused before it touches anything, for the empty path. What is not
 * enumerable is not read by a mere copy of the options.
 */
function knowsCoalesce(atomicWriteSync) {
  let read = false;
  const options = Object.defineProperty({}, "coalesce", {
    get() {
      read = true;
      return true;
    },
  });
  try {
    atomicWriteSync("", "", options);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
  }
  return read;
}

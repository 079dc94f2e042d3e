// Who locks a path: { name, form, make(path) -> acquire and release, once a call }.

import properLockfile from "proper-lockfile";

export async function lockers(module) {
  const { FileLock } = await import(module);
  const all = [
    {
      name: "proper-lockfile, sync",
      form: "sync",
      make: (path) => () => properLockfile.lockSync(path)(),
    },
    {
      name: "proper-lockfile",
      form: "async",
      make: (path) => async () => (await properLockfile.lock(path))(),
    },
  ];
  // Only what this version of the package has.
  if (typeof FileLock?.acquireSync === "function") {
    all.push({
      name: "FileLock.acquireSync",
      form: "sync",
      make: (path) => () => FileLock.acquireSync(path).release(),
    });
  }
  if (typeof FileLock?.acquire === "function") {
    all.push({
      name: "FileLock.acquire",
      form: "async",
      make: (path) => async () => (await FileLock.acquire(path)).release(),
    });
  }
  return all;
}

// Replaces of 4 KiB by one contender in one directory, timed, and then compared with what should be there.

import fs from "node:fs";
import { performance } from "node:perf_hooks";

const OLD = new Uint8Array(4096).fill(0x6f);
const NEW = new Uint8Array(4096).fill(0x78);

/** Runs the contender's code until it is warm, where a sync costs nothing. */
export async function warm(contender, { directory, ms }) {
  const paths = makeFiles(directory, 10);
  const end = performance.now() + ms;
  do await together(contender, paths, NEW); while (performance.now() < end);
}

/**
 * Answers { microseconds } for each file replaced, and of an async contender the { delay } of the event loop.
 * `files` 1: `rounds` replaces one after the other; more: all at once, `rounds` times.
 */
export async function replaceJob(contender, { directory, files, rounds }, sampler) {
  const paths = contender.samePath
    ? Array(files).fill(makeFiles(directory, 1)[0])
    : makeFiles(directory, files);
  const once = files === 1 && contender.replace
    ? () => contender.replace(paths[0], NEW)
    : () => together(contender, paths, NEW);
  const timed = async () => {
    const begin = performance.now();
    for (let round = 0; round < rounds; round++) await once();
    return (performance.now() - begin) * 1000 / rounds / files;
  };
  const { value: microseconds, delay } = contender.form === "async"
    ? await sampler.measure(timed)
    : { value: await timed() };
  contender.forget?.();
  for (const path of paths) {
    if (!fs.readFileSync(path).equals(NEW)) {
      throw new Error(`${contender.name} resolved, and a file is not what it wrote`);
    }
  }
  return { microseconds, delay };
}

async function together(contender, paths, bytes) {
  if (contender.replaceAll) await contender.replaceAll(paths, bytes);
  else if (contender.form === "async") {
    await Promise.all(paths.map((path) => contender.replace(path, bytes)));
  } else for (const path of paths) contender.replace(path, bytes);
}

/** The old files, on the disk as old files are, with the journal settled: the first fsync of a job must not pay for them. */
export function makeFiles(directory, count) {
  const paths = Array.from({ length: count }, (_, index) => `${directory}/file-${index}`);
  for (const path of paths) {
    const file = fs.openSync(path, "w");
    fs.writeSync(file, OLD);
    fs.fsyncSync(file);
    fs.closeSync(file);
  }
  syncDirectory(directory);
  return paths;
}

function syncDirectory(directory) {
  const dir = fs.openSync(directory, "r");
  fs.fsyncSync(dir);
  fs.closeSync(dir);
}

// One point of a growth curve, in a process of its own: prepareToGrow() makes what has to be there, grow() runs and measures it.

import fs from "node:fs";
import { performance } from "node:perf_hooks";
import { warm } from "./replace_job.mjs";

const CHUNK_BYTES = 1 << 16;

/** Old files named by `prefix`, so that processes can share a directory; then the contender's code is warm. */
export async function prepareToGrow(contender, job) {
  for (const path of pathsOf(job)) fs.writeFileSync(path, "old");
  await warm(contender, { directory: job.warmDirectory, ms: job.warmMs });
  if (job.stream) await contender.stream(`${job.warmDirectory}/file-0`, chunksOf(CHUNK_BYTES));
}

/**
 * Replaces `files` files by `bytes` bytes each, `together` of them at once, `rounds` times. Answers { microseconds } for each replace
 * and { peakMiB }, the most resident memory that the process had meanwhile (Linux; NaN elsewhere).
 */
export async function grow(contender, job) {
  const { bytes, together, rounds, stream } = job;
  const paths = pathsOf(job);
  const data = stream ? undefined : new Uint8Array(bytes).fill(0x78);
  const replace = (path) =>
    stream ? contender.stream(path, chunksOf(bytes)) : contender.replace(path, data);
  forgetPeak();
  const begin = performance.now();
  for (let round = 0; round < rounds; round++) {
    for (let at = 0; at < paths.length; at += together) {
      if (together === 1) await replace(paths[at]);
      else await Promise.all(paths.slice(at, at + together).map(replace));
    }
  }
  const microseconds = (performance.now() - begin) * 1000 / rounds / paths.length;
  const peakMiB = peak();
  for (const path of paths) {
    const { size } = fs.statSync(path);
    if (size !== bytes) throw new Error(`${contender.name} resolved with ${size} bytes in a file`);
  }
  return { microseconds, peakMiB };
}

function pathsOf({ directory, prefix, files }) {
  return Array.from({ length: files }, (_, index) => `${directory}/${prefix}-${index}`);
}

function* chunksOf(bytes) {
  const chunk = new Uint8Array(Math.min(bytes, CHUNK_BYTES)).fill(0x78);
  for (let left = bytes; left > 0; left -= chunk.length) {
    yield left < chunk.length ? chunk.subarray(0, left) : chunk;
  }
}

function forgetPeak() {
  globalThis.gc?.();
  globalThis.Bun?.gc(true);
  try {
    fs.writeFileSync("/proc/self/clear_refs", "5");
  } catch {
    // Not Linux, or not allowed: then the peak includes the start of the process, or is NaN.
  }
}

function peak() {
  try {
    const status = fs.readFileSync("/proc/self/status", "utf8");
    return Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? NaN) / 1024;
  } catch {
    return NaN;
  }
}

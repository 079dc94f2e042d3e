// How long the event loop kept others waiting.
//
// Node's monitorEventLoopDelay counts the interval of its own timer in, Bun's does not, and Deno's does not
// see a blocked loop at all. So it is tried first: the loop is blocked once, and what it makes of that decides.
// Node loses the first delay after reset() and after enable(), so nothing is reset: a few quiet ticks come first.

import { monitorEventLoopDelay, performance } from "node:perf_hooks";

const INTERVAL_MS = 1;
const QUIET_MS = 4 * INTERVAL_MS;
const BLOCK_MS = 25;

/**
 * Answers { name, measure }; measure(body) runs an async body and answers its value and { maxMs, p99Ms } of the delays while it ran.
 */
export async function findSampler() {
  if (typeof monitorEventLoopDelay === "function") {
    const included = await probe();
    if (included !== undefined) {
      return {
        name: "monitorEventLoopDelay",
        measure: (body) => measureWith(nativeSampler(included), body),
      };
    }
  }
  // Deno's timer of 1 ms comes every 2 ms.
  const { delay } = await measureWith(timerSampler(0), () => sleep(50));
  return { name: "timer", measure: (body) => measureWith(timerSampler(delay.medianMs), body) };
}

/** Answers how much of its own interval the native one counts in; undefined when it does not see what happens. */
async function probe() {
  try {
    const quiet = await measureWith(nativeSampler(0), () => sleep(20));
    // Without a pause before it: a job blocks with its first calls.
    const blocked = await measureWith(nativeSampler(0), () => {
      for (const end = performance.now() + BLOCK_MS; performance.now() < end;);
    });
    if (blocked.delay.maxMs < BLOCK_MS * 0.8) return undefined;
    return quiet.delay.minMs >= INTERVAL_MS ? INTERVAL_MS : 0;
  } catch {
    // Some runtimes have the name, and throw on the call: the timer takes its place.
    return undefined;
  }
}

async function measureWith(sampler, body) {
  sampler.start();
  // Two ticks have to have come, or what the body does first is not seen.
  await sleep(QUIET_MS);
  const value = await body();
  // A delay is known only when the late tick comes.
  await sleep(QUIET_MS);
  return { value, delay: sampler.stop() };
}

function nativeSampler(included) {
  const histogram = monitorEventLoopDelay({ resolution: INTERVAL_MS });
  const ms = (ns) => Math.max(0, ns / 1e6 - included);
  return {
    start: () => histogram.enable(),
    stop() {
      histogram.disable();
      return {
        minMs: ms(histogram.min),
        maxMs: ms(histogram.max),
        p99Ms: ms(histogram.percentile(99)),
      };
    },
  };
}

function timerSampler(interval) {
  const delays = [];
  let last = performance.now();
  let timer;
  const tick = () => {
    const now = performance.now();
    delays.push(Math.max(0, now - last - interval));
    last = now;
    timer = setTimeout(tick, INTERVAL_MS);
  };
  return {
    start() {
      last = performance.now();
      timer = setTimeout(tick, INTERVAL_MS);
    },
    stop() {
      clearTimeout(timer);
      const sorted = delays.sort((a, b) => a - b);
      const at = (part) => sorted[Math.ceil(part * sorted.length) - 1] ?? 0;
      return { medianMs: at(0.5), maxMs: at(1), p99Ms: at(0.99) };
    },
  };
}

function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

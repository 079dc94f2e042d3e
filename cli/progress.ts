/** A line on the terminal that grows, and is gone when the work is done. */

import process from "node:process";
import type { Progress } from "../mod.ts";

/** Answers undefined where standard error is no terminal. */
export function progressBar(): { show(progress: Progress): void; clear(): void } | undefined {
  if (!process.stderr.isTTY) return undefined;
  return {
    show({ bytes, total }) {
      process.stderr.write(`\r\x1b[K${drawn(bytes, total)}`);
    },
    clear() {
      process.stderr.write("\r\x1b[K");
    },
  };
}

/** Counts on the terminal, at most 25 times a second; does nothing where standard error is none. */
export function countOnTerminal(
  what: string,
): { readonly count: (done: number, total?: number) => void; readonly end: () => void } {
  if (!process.stderr.isTTY) return { count() {}, end() {} };
  let shownAt = -Infinity;
  return {
    count(done, total) {
      if (performance.now() - shownAt < 40) return;
      shownAt = performance.now();
      const of = total === undefined ? "" : ` of ${total}`;
      process.stderr.write(`\r\x1b[K${done}${of} ${what}`);
    },
    end: () => void process.stderr.write("\r\x1b[K"),
  };
}

const WIDTH = 30;

function drawn(bytes: number, total: number | undefined): string {
  const mebibytes = `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  if (total === undefined || total === 0) return mebibytes;
  const share = Math.min(1, bytes / total);
  const full = Math.round(share * WIDTH);
  return `[${"#".repeat(full)}${"-".repeat(WIDTH - full)}] ${
    Math.round(share * 100)
  } % ${mebibytes}`;
}

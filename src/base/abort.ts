/** Ending a call by its AbortSignal: always with the reason itself. */

import { MisuseError } from "./errors.ts";
import { nameOf } from "./paths.ts";

/** Throws a TypeError for what is no signal. */
export function requireSignal(signal: AbortSignal | undefined): void {
  if (signal === undefined || signal instanceof AbortSignal) return;
  throw new MisuseError(`signal must be an AbortSignal, not ${nameOf(signal)}`);
}

/** Throws the reason of a signal that has fired. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw signal.reason;
}

/** Whether this failure is the signal's own reason. */
export function isAbort(signal: AbortSignal | undefined, cause: unknown): boolean {
  return signal?.aborted === true && cause === signal.reason;
}

/** The promise's answer, or the reason of the signal if that comes first. */
export async function orAbort<T>(
  promise: PromiseLike<T>,
  signal: AbortSignal | undefined,
): Promise<T> {
  if (signal === undefined) return await promise;
  if (signal.aborted) {
    // The promise may fail later, when nobody listens any more.
    promise.then(undefined, () => {});
    throw signal.reason;
  }
  let stop: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason);
    signal.addEventListener("abort", stop, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    if (stop !== undefined) signal.removeEventListener("abort", stop);
  }
}

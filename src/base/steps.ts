/**
 * Algorithms as steps. An algorithm is a generator; each of its steps is one file-system operation, and a step whose answer has
 * to be waited for is yielded. A driver gives the settled answer back. So each algorithm is written once and runs in both colours:
 * over an adapter that answers at once it never stops, over one that promises it can be stopped, failed or interleaved
 * at any step.
 *
 * A forgotten `yield*` silently does nothing: every algorithm has a golden trace test.
 */

import type { MaybePromise } from "./fs_adapter.ts";

/** A computation in steps that ends with a `T`. */
export type Steps<T> = Generator<unknown, T, unknown>;

/** One step: yields an answer and comes back with it settled. The only cast of the core. */
export function* settled<T>(answer: MaybePromise<T>): Steps<T> {
  return (yield answer) as T;
}

/** Just enough of a generator for `yield*`. */
class Done<T> {
  readonly #value: T;

  constructor(value: T) {
    this.#value = value;
  }

  [Symbol.iterator](): this {
    return this;
  }

  next(): IteratorReturnResult<T> {
    return { done: true, value: this.#value };
  }
}

/** Steps that have ended already, without a generator. */
export function done<T>(value: T): Steps<T> {
  return new Done(value) as unknown as Steps<T>;
}

/** Runs steps whose every answer is there at once. */
export function runSync<T>(steps: Steps<T>): T {
  let next = steps.next();
  while (!next.done) {
    next = isPromiseLike(next.value)
      ? steps.throw(new TypeError("A synchronous call got a promise from its adapter"))
      : steps.next(next.value);
  }
  return next.value;
}

/** Runs steps, waiting only for answers that are promises. */
export async function runAsync<T>(steps: Steps<T>): Promise<T> {
  let next = steps.next();
  while (!next.done) {
    if (!isPromiseLike(next.value)) {
      next = steps.next(next.value);
      continue;
    }
    let answer: unknown;
    try {
      answer = await next.value;
    } catch (cause) {
      next = steps.throw(cause);
      continue;
    }
    next = steps.next(answer);
  }
  return next.value;
}

/** Whether a step's answer has to be waited for. */
export function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null &&
    typeof (value as { then?: unknown }).then === "function";
}

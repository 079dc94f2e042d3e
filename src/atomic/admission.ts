/**
 * Many asynchronous writes that begin together. The short system calls of a write run on the caller's thread, so a thousand writes in one turn of the event
 * loop would block it for a tenth of a second, and have two thousand files open. So they begin one after the other: after a quarter of a
 * millisecond of beginnings the event loop has a turn, and only so many are at work at once. A write alone, or after others have ended, begins at once.
 * Their commits do the same, because their fsyncs end together where the runtime has many threads.
 *
 * Who waits here has its turn for its path already, and waits for writes that end by themselves: sources that take their time do not come here.
 */

import { throwIfAborted } from "../base/abort.ts";
import type { Admission } from "../base/process_state.ts";
import type { StepFs } from "../base/step_fs.ts";
import { settled, type Steps } from "../base/steps.ts";

/** Each has up to two descriptors, and a third around its commit. More of them in one round of the disk's journal are cheaper for each. */
const MOST_AT_WORK = 128;
const LONGEST_STRETCH_MS = 0.25;

/** Runs `write` when there is room. */
export function* admitted<T>(
  fs: StepFs,
  signal: AbortSignal | undefined,
  write: () => Steps<T>,
): Steps<T> {
  const { admission } = fs.state;
  if (admission.atWork === 0 && admission.last === undefined) {
    admission.since = fs.now();
  } else {
    yield* waitForRoom(fs, admission);
  }
  // In the tick in which the next one may go on.
  admission.atWork++;
  try {
    throwIfAborted(signal);
    return yield* write();
  } finally {
    admission.atWork--;
    admission.ended?.();
  }
}

/** Before a commit: the event loop has a turn when others have had a quarter of a millisecond. */
export function* beforeCommit(fs: StepFs): Steps<void> {
  const { admission } = fs.state;
  if (fs.colour === "sync" || admission.atWork <= 1) return;
  const before = admission.lastCommit;
  let pass!: () => void;
  const passed = new Promise<void>((resolve) => pass = resolve);
  admission.lastCommit = passed;
  try {
    if (before !== undefined) yield* settled(before);
    yield* breathe(fs, admission);
  } finally {
    if (admission.lastCommit === passed) admission.lastCommit = undefined;
    pass();
  }
}

function* breathe(fs: StepFs, admission: Admission): Steps<void> {
  if (fs.now() - admission.since < LONGEST_STRETCH_MS) return;
  yield* fs.sleep(0);
  admission.since = fs.now();
}

/** One after the other, in the order of the calls. */
function* waitForRoom(fs: StepFs, admission: Admission): Steps<void> {
  const before = admission.last;
  let pass!: () => void;
  const passed = new Promise<void>((resolve) => pass = resolve);
  admission.last = passed;
  try {
    if (before !== undefined) yield* settled(before);
    while (admission.atWork >= MOST_AT_WORK) {
      yield* settled(new Promise<void>((resolve) => admission.ended = resolve));
    }
    yield* breathe(fs, admission);
  } finally {
    if (admission.last === passed) admission.last = undefined;
    // The next one goes on when this one waits for its first operation.
    pass();
  }
}

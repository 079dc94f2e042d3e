/** The adapter that a door has set, used by every call that brings none of its own. */

import type { FsAdapter } from "./fs_adapter.ts";

let current: FsAdapter | undefined;

/** Called by the doors, once, when they are imported. */
export function setDefaultAdapter(adapter: FsAdapter): void {
  current = adapter;
}

/** The caller's adapter, else the door's. */
export function chooseAdapter(adapter: FsAdapter | undefined): FsAdapter {
  const chosen = adapter ?? current;
  if (chosen === undefined) {
    throw new TypeError(
      "No file system adapter: import @crashsafe/fs (or its /deno, /bun or /node), or pass { adapter }",
    );
  }
  return chosen;
}

/** The adapter that a door has set, used by every call that brings none of its own. */

import type { FsAdapter } from "./fs_adapter.ts";

let current: FsAdapter | undefined;

/** Called by the doors, once, when they are imported. */
export function setDefaultAdapter(adapter: FsAdapter): void {
  current = adapter;
}

/**
 * The file system of this runtime, as every call uses it that brings no `adapter`: to be wrapped by one's own.
 *
 * @returns The adapter that was chosen when the package was imported.
 * @throws {TypeError} When no door of the package was imported.
 *
 * @example Look at what works here
 * ```ts
 * import { systemAdapter } from "@crashsafe/fs";
 *
 * const { name, capabilities } = systemAdapter();
 * console.log(name, capabilities.flock, capabilities.mtimePrecision);
 * ```
 */
export function systemAdapter(): FsAdapter {
  return chooseAdapter(undefined);
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

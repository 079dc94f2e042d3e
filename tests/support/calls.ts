import type { FaultFs } from "@crashsafe/fs/testing";

/** The trace without the pinning of old files, which asynchronous writes do where the file system lies on a block device. */
export function calls(adapter: FaultFs): string {
  return adapter.trace().replace(/ (?:un)?pin\b/g, "");
}

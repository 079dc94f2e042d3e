/**
 * The testing kit: prove that code over an `FsAdapter` survives faults, and that an adapter keeps its word.
 *
 * @example Run the conformance suite against an adapter
 * ```ts
 * import { conformanceChecks } from "@crashsafe/fs/testing";
 * import { systemAdapter } from "@crashsafe/fs";
 * import { mkdtempSync, rmSync } from "node:fs";
 *
 * for (const check of conformanceChecks) {
 *   const directory = mkdtempSync("example-");
 *   await check.run({ adapter: systemAdapter(), directory });
 *   rmSync(directory, { recursive: true });
 * }
 * ```
 *
 * @module
 */

export {
  type ConformanceCheck,
  conformanceChecks,
  type ConformanceContext,
} from "./testing/conformance.ts";
export { FaultFs, InjectedFault, type LoggedOperation } from "./testing/fault_fs.ts";
export { type FaultRule, type OperationKind, parseFaults } from "./testing/fault_rules.ts";
export {
  type CrashImage,
  type CrashProfile,
  type ImageFile,
  MemoryFs,
} from "./testing/memory_fs.ts";
export type {
  Capabilities,
  DirEntry,
  EntryKind,
  FileStat,
  FsAdapter,
  FsHandle,
  FsOps,
  LockKind,
  MaybePromise,
  OpenOptions,
  ProcessHooks,
  RunningDigest,
  SyncFsOps,
  TimePrecision,
} from "./src/base/fs_adapter.ts";

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
export {
  type Crash,
  type CrashScenario,
  explore,
  type ExploreOptions,
  type ExploreReport,
} from "./testing/explore.ts";
export type { CrashKind } from "./testing/crash_points.ts";
export type { Violation } from "./testing/violations.ts";
export {
  type ScheduleOptions,
  type ScheduleReport,
  schedules,
  type ScheduleScenario,
  type ScheduleState,
} from "./testing/schedules.ts";
export type { ProcessBody, ProcessState } from "./testing/stepped_world.ts";
export { POSSIBLE_ERRNOS } from "./testing/possible_errnos.ts";
export { FaultFs, InjectedFault, type LoggedOperation } from "./testing/fault_fs.ts";
export { type FaultRule, type OperationKind, parseFaults } from "./testing/fault_rules.ts";
export { type CrashImage, describeImage, type ImageFile } from "./testing/crash_image.ts";
export { ALL_PROFILES, type CrashProfile, GATE_PROFILES } from "./testing/images.ts";
export type { HeldLock } from "./testing/lock_table.ts";
export { MemoryFs, type MemoryFsOptions } from "./testing/memory_fs.ts";
export type { MemoryOperation, MemoryProcess } from "./testing/memory_process.ts";
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

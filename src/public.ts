/** All that the doors export. */

export { AtomicFile } from "./atomic/atomic_file.ts";
export { atomicWrite, atomicWriteSync } from "./atomic/atomic_write.ts";
export { hashFile, hashFileSync, hashStream } from "./atomic/hash_file.ts";
export type { WriteData } from "./atomic/data.ts";
export type { AtomicWriteOptions, Durability, Mtime, Progress } from "./atomic/options.ts";
export {
  readVerified,
  type ReadVerifiedOptions,
  readVerifiedSync,
} from "./atomic/read_verified.ts";
export {
  atomicWriteAll,
  atomicWriteAllSync,
  type WriteAllOptions,
  type WriteAllResult,
  type WriteEntry,
} from "./atomic/write_all.ts";
export { GroupPublishError } from "./atomic/group_error.ts";
export type { StreamData } from "./atomic/stream_source.ts";
export type { WritableFile } from "./atomic/writable_source.ts";
export type { Loss, Receipt } from "./atomic/receipt.ts";
export type { FileSink, FileSinkSync } from "./atomic/sources.ts";
export { DirLock, type DirLockOptions, type TryDirLockOptions } from "./lock/dir_lock.ts";
export { FileLock } from "./lock/file_lock.ts";
export type { HeldLock } from "./lock/held_lock.ts";
export type { LockOptions, TryLockOptions } from "./lock/options.ts";
export { withLock, withLockSync } from "./lock/with_lock.ts";
export { cleanupTempFiles } from "./scratch/cleanup.ts";
export type { Orphan, OrphanWriter } from "./scratch/orphans.ts";
export {
  findOrphans,
  findOrphansSync,
  type OrphanOptions,
  type SweepOptions,
  sweepOrphans,
  sweepOrphansSync,
  type SweepReport,
} from "./scratch/sweep.ts";
export {
  installSignalHandlers,
  type SignalHandlerOptions,
  type SignalHandlers,
  type SignalMode,
  type TerminationSignal,
} from "./scratch/signals.ts";
export {
  createDirAll,
  createDirAllSync,
  type CreateDirOptions,
  type CreateDirReport,
  type CreateDirRetries,
  creatingDirAll,
} from "./temp/create_dir.ts";
export {
  type RemoveDirOptions,
  removeEmptyParents,
  removeEmptyParentsSync,
  removeEmptyTree,
  removeEmptyTreeSync,
  removingEmptyParents,
} from "./temp/remove_dir.ts";
export {
  LockedUpdate,
  type LockedUpdateOptions,
  LockMarker,
  ResourceLock,
} from "./temp/locked_update.ts";
export { PersistError } from "./temp/persist_error.ts";
export type { SeekFrom } from "./temp/temp_core.ts";
export type { TempFileOptions } from "./temp/temp_options.ts";
export {
  ClosedTempFile,
  createTempFile,
  createTempFileSync,
  markTempFileAt,
  markTempFileAtSync,
  type PersistOptions,
  type RandomTempFileOptions,
  TempFile,
  tempFileAt,
  tempFileAtSync,
  WritableTempFile,
} from "./temp/temp_file.ts";
export { recoverStaleDirs, recoverStaleDirsSync } from "./temp/recover.ts";
export type { RecoverOptions, RecoveryReport } from "./temp/recover.ts";
export {
  type Cleanup,
  cleanupTempDirs,
  cleanupTempDirsSync,
  type StagedAddition,
  type StagingOptions,
  TempDir,
  type TempDirOptions,
} from "./temp/temp_dir.ts";
export type { StagingDurability } from "./temp/temp_dir_core.ts";
export { systemAdapter } from "./base/default_adapter.ts";
export {
  CrashSafeError,
  DurabilityUnknownError,
  type ErrorDetails,
  HashMismatchError,
  LockHeldError,
  PublishError,
  RecoveryError,
  UnsupportedError,
} from "./base/errors.ts";
export type {
  Capabilities,
  DirEntry,
  EntryKind,
  ExitHooks,
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
  WorkerLine,
} from "./base/fs_adapter.ts";
export { type Digest, type ExpectedHash, type HashAlgorithm, prepareHash } from "./hash/digest.ts";

/** What each operation may fail with, from its manual page; close(2) and fsync(2) fail late, with what a write met. */

import type { OperationKind } from "./fault_rules.ts";

/**
 * The errors worth injecting; an operation that is missing cannot fail after its handle was opened well.
 *
 * @example Fail an operation in each way it can
 * ```ts
 * import { FaultFs, MemoryFs, POSSIBLE_ERRNOS } from "@crashsafe/fs/testing";
 *
 * for (const errno of POSSIBLE_ERRNOS.write ?? []) {
 *   const adapter = new FaultFs(new MemoryFs(), [{ kinds: ["write"], errno }]);
 *   console.log(errno, adapter.name); // ENOSPC memory …
 * }
 * ```
 */
export const POSSIBLE_ERRNOS: Readonly<Partial<Record<OperationKind, readonly string[]>>> = {
  open: ["EMFILE", "EACCES", "EROFS", "ENOSPC"],
  openDir: ["EMFILE", "EACCES"],
  pin: ["EMFILE"],
  unpin: ["EIO"],
  read: ["EIO"],
  write: ["ENOSPC", "EIO", "EDQUOT", "EFBIG"],
  fsync: ["EIO", "ENOSPC"],
  fsyncDir: ["EIO"],
  syncFs: ["EIO"],
  close: ["EIO"],
  closeDir: ["EIO"],
  lstat: ["EACCES", "EIO"],
  stat: ["EACCES"],
  fstat: ["EIO"],
  chmod: ["EPERM"],
  fchmod: ["EPERM", "EIO"],
  fchown: ["EPERM"],
  futimes: ["EPERM"],
  flock: ["ENOLCK", "ENOTSUP"],
  readlink: ["EACCES"],
  rename: ["EXDEV", "EBUSY", "EIO", "EACCES"],
  link: ["EEXIST", "EPERM", "EIO"],
  unlink: ["EIO"],
  mkdir: ["ENOSPC", "EACCES"],
  rmdir: ["EBUSY"],
  readdir: ["EIO"],
};

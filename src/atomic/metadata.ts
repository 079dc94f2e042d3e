/**
 * Owner, mode and time of the new file, set on its handle before the fsync, so that whoever sees the new content sees
 * them too. The order matters: chown(2) clears the setuid and setgid bits, so the mode comes after it.
 */

import type { FileStat, TimePrecision } from "../base/fs_adapter.ts";
import { permissions } from "../base/file_types.ts";
import { failedWith, type StepFs } from "../base/step_fs.ts";
import type { Steps } from "../base/steps.ts";
import type { ResolvedOptions } from "./options.ts";
import type { Loss, Receipt } from "./receipt.ts";
import type { TempSibling } from "./temp_sibling.ts";

/** The part of the receipt that is settled here. */
export type Metadata = Pick<Receipt, "mode" | "owner" | "lost" | "mtimeNs" | "mtimePrecision">;

/** Sets them and answers what was reached. */
export function* setMetadata(
  fs: StepFs,
  temp: TempSibling,
  old: FileStat | undefined,
  o: ResolvedOptions,
): Steps<Metadata> {
  const owner = yield* setOwner(fs, temp, o.preserveOwner ? old : undefined);
  const lost = losses(old, owner);
  const wanted = o.mode ?? (old === undefined ? undefined : permissions(old) & ~forbidden(lost));
  if (wanted !== undefined && wanted !== permissions(temp.made)) yield* fs.fchmod(temp, wanted);
  const mode = wanted ?? permissions(temp.made);
  if (o.mode === undefined && old !== undefined && mode !== permissions(old)) {
    lost.push("setuid-setgid");
  }
  if (o.mtimeNs === undefined) return { mode, owner, lost };
  yield* fs.futimes(temp, o.mtimeNs);
  return { mode, owner, lost, ...(yield* reachedTime(fs, temp, o.mtimeNs)) };
}

/** Owner and group as the old file has them, or the group at least, or as we are. */
function* setOwner(
  fs: StepFs,
  temp: TempSibling,
  old: FileStat | undefined,
): Steps<Receipt["owner"]> {
  const { uid, gid } = temp.made;
  if (old === undefined || (old.uid === uid && old.gid === gid)) return { uid, gid };
  for (const owner of [{ uid: old.uid, gid: old.gid }, { uid, gid: old.gid }]) {
    if (owner.uid === uid && owner.gid === gid) continue;
    try {
      yield* fs.fchown(temp, owner.uid, owner.gid);
      return owner;
    } catch (cause) {
      // Only root gives files away. The receipt says it; any other error is one.
      if (
        !failedWith(cause, "EPERM", "EACCES", "EINVAL", "ENOTSUP", "ENOSYS", "ERR_ACCESS_DENIED")
      ) {
        throw cause;
      }
    }
  }
  return { uid, gid };
}

function losses(old: FileStat | undefined, owner: Receipt["owner"]): Loss[] {
  const lost: Loss[] = [];
  if (old === undefined) return lost;
  if (old.nlink > 1) lost.push("hard-links");
  if (old.uid !== owner.uid) lost.push("owner");
  if (old.gid !== owner.gid) lost.push("group");
  return lost;
}

/** A program must not run with rights that its new owner or group did not give (as cp -p does it). */
function forbidden(lost: readonly Loss[]): number {
  return (lost.includes("owner") ? 0o4000 : 0) |
    (lost.includes("owner") || lost.includes("group") ? 0o2000 : 0);
}

/**
 * Asks the file: a file system may clamp what it cannot hold (ext4 ends in 2446). Where stat is less exact than
 * the time that was set, the adapter is believed about what stat cannot see.
 */
function* reachedTime(
  fs: StepFs,
  temp: TempSibling,
  asked: bigint,
): Steps<Pick<Receipt, "mtimeNs" | "mtimePrecision">> {
  const { mtimePrecision, mtimeReadPrecision } = fs.adapter.capabilities;
  const { mtimeNs } = yield* fs.fstat(temp);
  const off = mtimeNs > asked ? mtimeNs - asked : asked - mtimeNs;
  if (mtimeReadPrecision !== "ns" && off < larger(mtimePrecision, mtimeReadPrecision)) {
    return { mtimeNs: nearest(asked, UNIT_NS[mtimePrecision]), mtimePrecision };
  }
  const units: readonly TimePrecision[] = ["ns", "us", "ms"];
  return { mtimeNs, mtimePrecision: units.find((unit) => off < UNIT_NS[unit]) ?? "s" };
}

function larger(one: TimePrecision, other: TimePrecision): bigint {
  return UNIT_NS[one] > UNIT_NS[other] ? UNIT_NS[one] : UNIT_NS[other];
}

const UNIT_NS: Readonly<Record<TimePrecision, bigint>> = {
  ns: 1n,
  us: 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
};

/** Rounded, not cut off: node:fs takes a float, which may have gone up. */
function nearest(value: bigint, unit: bigint): bigint {
  const half = unit / 2n;
  return value + half - (((value + half) % unit) + unit) % unit;
}

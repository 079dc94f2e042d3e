/** Notices what no caller of a file system may do, even where it happens to go well. */

import type { FsHandle } from "../src/base/fs_adapter.ts";
import type { OperationKind } from "./fault_rules.ts";

/** The operation as the log has it. */
interface Operation {
  readonly kind: OperationKind;
  readonly path: string;
}

/** Follows the operations of one {@linkcode FaultFs}. */
export class HazardWatch {
  /** What was noticed, in sentences. */
  readonly seen: string[] = [];
  readonly #inFlight = new Map<FsHandle, OperationKind[]>();
  readonly #closed = new WeakMap<FsHandle, string>();
  /** Files whose fsync failed: the kernel may have dropped their dirty pages and call the next fsync good. */
  readonly #unsynced = new Set<string>();

  /** An operation begins; the answer is to be called when it has ended, with whether it went well. */
  begin({ kind, path }: Operation, args: readonly unknown[]): (well: boolean) => void {
    const handles = HANDLE_KINDS.has(kind)
      ? args.filter((one): one is FsHandle => isHandle(one))
      : [];
    for (const handle of handles) this.#look(kind, path, handle);
    if (kind === "fsync" && this.#unsynced.has(path)) {
      this.#hazard("fsync again after it failed", path);
    }
    if ((kind === "rename" || kind === "link") && this.#unsynced.has(path)) {
      this.#hazard(`${kind} of a file whose fsync failed`, path);
    }
    const bytes = kind === "write" ? args[1] as Uint8Array : undefined;
    const before = bytes?.slice();
    return (well) => {
      for (const handle of handles) remove(this.#inFlight, handle, kind);
      if (bytes !== undefined && before !== undefined && !equalBytes(bytes, before)) {
        this.#hazard("the bytes of a write changed before it had settled", path);
      }
      if (kind === "fsync" && !well) this.#unsynced.add(path);
      if (kind === "unlink" && well) this.#unsynced.delete(path);
    };
  }

  #look(kind: OperationKind, path: string, handle: FsHandle): void {
    const closed = this.#closed.get(handle);
    if (closed !== undefined) this.#hazard(`${kind} on a closed handle`, closed);
    const others = this.#inFlight.get(handle) ?? [];
    if (kind === "close" || kind === "closeDir" || kind === "unpin") {
      for (const other of others) this.#hazard(`${kind} while a ${other} was in flight`, path);
      this.#closed.set(handle, path);
    }
    this.#inFlight.set(handle, [...others, kind]);
  }

  #hazard(what: string, path: string): void {
    this.seen.push(`${what}: ${path}`);
  }
}

const HANDLE_KINDS: ReadonlySet<OperationKind> = new Set<OperationKind>([
  "read",
  "write",
  "fsync",
  "fsyncDir",
  "syncFs",
  "close",
  "closeDir",
  "unpin",
  "fstat",
  "fchmod",
  "fchown",
  "futimes",
  "flock",
  "funlock",
  "clone",
]);

function isHandle(value: unknown): boolean {
  return typeof value === "object" && value !== null && !ArrayBuffer.isView(value);
}

function remove(map: Map<FsHandle, OperationKind[]>, handle: FsHandle, kind: OperationKind): void {
  const rest = [...map.get(handle) ?? []];
  rest.splice(rest.indexOf(kind), 1);
  if (rest.length === 0) map.delete(handle);
  else map.set(handle, rest);
}

function equalBytes(one: Uint8Array, other: Uint8Array): boolean {
  return one.byteLength === other.byteLength && one.every((byte, index) => byte === other[index]);
}

/**
 * What an adapter must do, as checks for any test runner. Each runs in an empty directory of its own, once over the
 * synchronous operations and once over the asynchronous ones.
 */

import type { FileStat, FsAdapter, FsHandle, FsOps } from "../src/base/fs_adapter.ts";

/**
 * Where a check runs.
 *
 * @example Where to check
 * ```ts
 * import { type ConformanceContext, MemoryFs } from "@crashsafe/fs/testing";
 *
 * const context: ConformanceContext = { adapter: new MemoryFs(), directory: "/" };
 * console.log(context.directory);
 * ```
 */
export interface ConformanceContext {
  /** The adapter to check. */
  readonly adapter: FsAdapter;
  /** An empty directory, absolute, that the caller removes afterwards. */
  readonly directory: string;
}

/**
 * One check.
 *
 * @example Their names
 * ```ts
 * import { type ConformanceCheck, conformanceChecks } from "@crashsafe/fs/testing";
 *
 * const checks: readonly ConformanceCheck[] = conformanceChecks;
 * console.log(checks.map(({ name }) => name)[0]);
 * ```
 */
export interface ConformanceCheck {
  /** What holds, as a sentence. */
  readonly name: string;
  /** Answers why it was skipped, or nothing; rejects when the adapter breaks its word. */
  run(context: ConformanceContext): Promise<string | undefined>;
}

/**
 * All checks.
 *
 * @example Check an adapter of your own
 * ```ts
 * import { conformanceChecks, MemoryFs } from "@crashsafe/fs/testing";
 *
 * for (const { name, run } of conformanceChecks) {
 *   const adapter = new MemoryFs();
 *   adapter.sync.mkdir("/dir", 0o755);
 *   const skipped = await run({ adapter, directory: "/dir" });
 *   if (skipped !== undefined) console.log(name, skipped);
 * }
 * ```
 */
export const conformanceChecks: readonly ConformanceCheck[] = [
  check("open creates a file exclusively, and says EEXIST when the name is taken", async (t) => {
    await t.create("a", "one");
    await t.fails(
      "EEXIST",
      () => t.ops.open(t.path("a"), { access: "write", create: "exclusive" }),
    );
    await t.fails("ENOENT", () => t.ops.open(t.path("none"), { access: "read" }));
    equal(await t.content("a"), "one");
  }),
  check("open creates a missing file when asked, and keeps one that is there", async (t) => {
    await t.create("a", "kept");
    for (const name of ["a", "b"]) {
      await t.ops.close(
        await t.ops.open(t.path(name), { access: "read-write", create: "if-missing" }),
      );
    }
    equal(await t.content("a"), "kept");
    equal(await t.content("b"), "");
  }),
  check("open gives the permission bits that were asked for", async (t) => {
    await t.create("a", "", 0o600);
    equal((await t.stat("a")).mode & 0o777, 0o600);
  }),
  check("write and read move along the file, and positions do not", async (t) => {
    const file = await t.ops.open(t.path("a"), { access: "read-write", create: "exclusive" });
    equal(await t.ops.write(file, bytes("hello ")), 6);
    equal(await t.ops.write(file, bytes("world")), 5);
    equal(await t.ops.write(file, bytes("J"), 0), 1);
    const buffer = new Uint8Array(5);
    equal(await t.ops.read(file, buffer, 6), 5);
    equal(text(buffer), "world");
    equal(await t.ops.read(file, buffer), 0);
    await t.ops.close(file);
    equal(await t.content("a"), "Jello world");
  }),
  check("write takes large chunks, and parts of a larger buffer", async (t) => {
    const large = new Uint8Array(300_000).map((_, index) => index % 251);
    const file = await t.ops.open(t.path("a"), { access: "write", create: "exclusive" });
    let rest = large.subarray(1);
    while (rest.byteLength > 0) rest = rest.subarray(await t.ops.write(file, rest));
    await t.ops.close(file);
    equal(await t.content("a"), text(large.subarray(1)));
  }),
  check("fsync, fsyncDir and syncFs accept what they are for", async (t) => {
    const file = await t.create("a", "x", 0o600, true);
    if (t.adapter.capabilities.fsync) await t.ops.fsync(file as FsHandle);
    if (t.adapter.capabilities.syncFs) await t.ops.syncFs(file as FsHandle);
    await t.ops.close(file as FsHandle);
    if (!t.adapter.capabilities.fsyncDir) return "directories cannot be fsynced here";
    const dir = await t.ops.openDir(t.directory);
    await t.ops.fsyncDir(dir);
    await t.ops.close(dir);
  }),
  check("openDir refuses what is no directory", async (t) => {
    await t.create("a", "");
    await t.fails("ENOTDIR", () => t.ops.openDir(t.path("a")));
    await t.fails("ENOENT", () => t.ops.openDir(t.path("none")));
  }),
  check("stat, lstat and fstat agree, and answer undefined for a missing name", async (t) => {
    const file = await t.create("a", "12345", 0o640, true) as FsHandle;
    const [stat, lstat, fstat] = [
      await t.stat("a"),
      await t.ops.lstat(t.path("a")),
      await t.ops.fstat(file),
    ];
    await t.ops.close(file);
    for (const other of [lstat, fstat]) {
      equal(other?.ino, stat.ino);
      equal(other?.dev, stat.dev);
      equal(other?.mode, stat.mode);
    }
    equal(stat.size, 5);
    equal(stat.nlink, 1);
    equal(stat.mode & 0o170000, 0o100000);
    equal(typeof stat.ino, "bigint");
    equal(await t.ops.stat(t.path("none")), undefined);
    equal(await t.ops.lstat(t.path("none")), undefined);
    await t.fails("ENOTDIR", () => t.ops.lstat(t.path("a/b")));
  }),
  check("fchmod sets all permission bits", async (t) => {
    if (!t.adapter.capabilities.handleMetadata) return "not allowed here";
    const file = await t.create("a", "", 0o600, true) as FsHandle;
    await t.ops.fchmod(file, 0o6755);
    equal((await t.ops.fstat(file)).mode & 0o7777, 0o6755);
    const { uid, gid } = await t.ops.fstat(file);
    await t.ops.fchown(file, uid, gid);
    await t.ops.close(file);
  }),
  check("chmod sets the permission bits of what cannot be opened", async (t) => {
    const path = t.path("dir");
    await t.ops.mkdir(path, 0o700);
    await t.ops.chmod(path, 0);
    equal(((await t.ops.stat(path))?.mode ?? -1) & 0o7777, 0);
    await t.ops.chmod(path, 0o700);
    await t.fails("ENOENT", () => t.ops.chmod(t.path("none"), 0o700));
  }),
  check("futimes sets the time as exactly as the capabilities say, before 1970 too", async (t) => {
    const { handleMetadata, mtimePrecision, mtimeReadPrecision } = t.adapter.capabilities;
    if (!handleMetadata) return "not allowed here";
    const file = await t.create("a", "", 0o600, true) as FsHandle;
    for (
      const asked of [1_700_000_000_123_456_789n, 0n, -1_500_000_000n, 1_714_564_800_000_000_000n]
    ) {
      await t.ops.futimes(file, asked);
      const { mtimeNs } = await t.ops.fstat(file);
      const off = mtimeNs > asked ? mtimeNs - asked : asked - mtimeNs;
      const allowed = max(UNIT_NS[mtimePrecision], UNIT_NS[mtimeReadPrecision]);
      if (off >= allowed && off !== 0n) throw new Error(`asked for ${asked}, got ${mtimeNs}`);
    }
    await t.ops.close(file);
  }),
  check("rename replaces a file, and refuses a directory", async (t) => {
    await t.create("a", "new");
    await t.create("b", "old");
    await t.ops.rename(t.path("a"), t.path("b"));
    equal(await t.content("b"), "new");
    equal(await t.ops.lstat(t.path("a")), undefined);
    await t.ops.mkdir(t.path("dir"), 0o700);
    await t.fails("EISDIR", () => t.ops.rename(t.path("b"), t.path("dir")));
    await t.fails("ENOENT", () => t.ops.rename(t.path("none"), t.path("b")));
  }),
  check("link gives a second name, and never replaces one", async (t) => {
    await t.create("a", "x");
    await t.ops.link(t.path("a"), t.path("b"));
    equal((await t.stat("b")).ino, (await t.stat("a")).ino);
    equal((await t.stat("a")).nlink, 2);
    await t.create("c", "kept");
    await t.fails("EEXIST", () => t.ops.link(t.path("a"), t.path("c")));
    equal(await t.content("c"), "kept");
    await t.ops.unlink(t.path("a"));
    equal((await t.stat("b")).nlink, 1);
    await t.fails("ENOENT", () => t.ops.unlink(t.path("a")));
  }),
  check("mkdir, rmdir and readdir", async (t) => {
    await t.ops.mkdir(t.path("dir"), 0o777);
    await t.fails("EEXIST", () => t.ops.mkdir(t.path("dir"), 0o777));
    await t.fails("ENOENT", () => t.ops.mkdir(t.path("none/below"), 0o777));
    await t.create("dir/file", "");
    await t.ops.mkdir(t.path("dir/sub"), 0o777);
    const entries = [...await t.ops.readdir(t.path("dir"))].sort((a, b) =>
      a.name < b.name ? -1 : 1
    );
    equal(
      JSON.stringify(entries),
      '[{"name":"file","kind":"file"},{"name":"sub","kind":"directory"}]',
    );
    await t.fails("ENOTEMPTY", () => t.ops.rmdir(t.path("dir")));
    await t.ops.unlink(t.path("dir/file"));
    await t.ops.rmdir(t.path("dir/sub"));
    await t.ops.rmdir(t.path("dir"));
    equal(await t.ops.stat(t.path("dir")), undefined);
  }),
  check(
    "flock excludes a second handle, shares among shared ones, and ends with close",
    async (t) => {
      await t.create("a", "", 0o600);
      const open = (): Promise<FsHandle> =>
        Promise.resolve(t.ops.open(t.path("a"), { access: "read-write", lockable: true }));
      const [one, two] = [await open(), await open()];
      if (t.adapter.capabilities.flock === "none") {
        // A lock that cannot be had must not look like one that was.
        await rejects(() => t.ops.flock(one, "exclusive"));
        for (const file of [one, two]) await t.ops.close(file);
        return;
      }
      equal(await t.ops.flock(one, "exclusive"), true);
      equal(await t.ops.flock(two, "exclusive"), false);
      equal(await t.ops.flock(two, "shared"), false);
      await t.ops.funlock(one);
      equal(await t.ops.flock(one, "shared"), true);
      equal(await t.ops.flock(two, "shared"), true);
      await t.ops.close(one);
      await t.ops.funlock(two);
      equal(await t.ops.flock(two, "exclusive"), true);
      await t.ops.close(two);
      const three = await open();
      equal(await t.ops.flock(three, "exclusive"), true);
      await t.ops.close(three);
    },
  ),
  check("clone shares the whole content, or changes nothing", async (t) => {
    const from = await t.create("a", "x".repeat(10_000), 0o600, true) as FsHandle;
    const to = await t.create("b", "", 0o600, true) as FsHandle;
    const cloned = await t.ops.clone(from, to);
    await t.ops.close(from);
    await t.ops.close(to);
    if (!t.adapter.capabilities.clone) equal(cloned, false);
    equal(await t.content("b"), cloned ? "x".repeat(10_000) : "");
  }),
  check("pin keeps no name and fails for no file, or is not there", async (t) => {
    await t.create("a", "old", 0o600);
    const { dev } = await t.stat("a");
    const pinned = await t.ops.pin?.(t.path("a"), dev);
    if (pinned === undefined) return;
    await t.create("b", "new", 0o600);
    await t.ops.rename(t.path("b"), t.path("a"));
    equal(await t.content("a"), "new");
    await t.ops.close(pinned);
    equal(await t.content("a"), "new");
    await t.fails("ENOENT", () => t.ops.pin?.(t.path("none"), dev));
  }),
  check("sleep comes back", async (t) => {
    await t.ops.sleep(1);
  }),
  check("classify names an errno, and nothing else", (t) => {
    equal(t.adapter.classify(new Error("no code")), undefined);
    equal(t.adapter.classify(undefined), undefined);
    equal(t.adapter.classify(Object.assign(new Error(), { code: "ENOSPC" })), "ENOSPC");
    return Promise.resolve(undefined);
  }),
];

/** What a check works with: one colour of an adapter in a directory. */
class Bench {
  readonly adapter: FsAdapter;
  readonly ops: FsOps;
  readonly directory: string;

  constructor(adapter: FsAdapter, ops: FsOps, directory: string) {
    this.adapter = adapter;
    this.ops = ops;
    this.directory = directory;
  }

  path(name: string): string {
    return `${this.directory}/${name}`;
  }

  async create(
    name: string,
    content: string,
    mode = 0o666,
    keep = false,
  ): Promise<FsHandle | undefined> {
    const file = await this.ops.open(this.path(name), {
      access: "read-write",
      create: "exclusive",
      mode,
    });
    await this.ops.write(file, bytes(content));
    if (keep) return file;
    await this.ops.close(file);
    return undefined;
  }

  async content(name: string): Promise<string> {
    const file = await this.ops.open(this.path(name), { access: "read" });
    const parts: number[] = [];
    const buffer = new Uint8Array(100_000);
    for (;;) {
      const count = await this.ops.read(file, buffer);
      if (count === 0) break;
      for (const byte of buffer.subarray(0, count)) parts.push(byte);
    }
    await this.ops.close(file);
    return text(Uint8Array.from(parts));
  }

  async stat(name: string): Promise<FileStat> {
    const stat = await this.ops.stat(this.path(name));
    if (stat === undefined) throw new Error(`${name} is missing`);
    return stat;
  }

  async fails(code: string, call: () => unknown): Promise<void> {
    try {
      await call();
    } catch (error) {
      equal(this.adapter.classify(error), code);
      return;
    }
    throw new Error(`wanted ${code}, but it succeeded`);
  }
}

function check(
  name: string,
  body: (bench: Bench) => Promise<string | void | undefined>,
): ConformanceCheck {
  return {
    name,
    async run({ adapter, directory }) {
      let skipped: string | undefined;
      for (const colour of ["sync", "async"] as const) {
        const own = `${directory}/${colour}`;
        adapter.sync.mkdir(own, 0o700);
        skipped = (await body(new Bench(adapter, adapter[colour], own))) ?? undefined;
      }
      return skipped;
    },
  };
}

async function rejects(call: () => unknown): Promise<void> {
  try {
    await call();
  } catch {
    return;
  }
  throw new Error("wanted a failure, but it succeeded");
}

function equal(actual: unknown, wanted: unknown): void {
  if (actual !== wanted) throw new Error(`got ${String(actual)}, wanted ${String(wanted)}`);
}

function bytes(content: string): Uint8Array {
  return new TextEncoder().encode(content);
}

function text(content: Uint8Array): string {
  return new TextDecoder("latin1").decode(content);
}

function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

const UNIT_NS = { ns: 1n, us: 1_000n, ms: 1_000_000n, s: 1_000_000_000n } as const;

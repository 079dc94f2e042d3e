// The check must have teeth: small lock protocols, each with one well-known mistake, run in every order with kills, and
// the invariant that catches it. The same protocol without the mistake passes.

import { describe, test } from "node:test";
import type { FsHandle, FsOps } from "@crashsafe/fs";
import type { ProcessBody, ScheduleScenario, ScheduleState } from "@crashsafe/fs/testing";
import { breaks, exhaustive, holds, scheduled } from "../support/explored.ts";

const LOCK = "/lock";
/** One violation is enough, the search need not be complete. */
const FIRST = { maxViolations: 1 };

/** Who is inside: running, and noted "in" last. */
function inside({ processes }: ScheduleState): readonly string[] {
  return Object.entries(processes).filter(([, { facts, outcome }]) =>
    outcome === "running" && facts.at(-1) === "in"
  ).map(([name]) => name);
}

/** At most one holder, and its lock file is the one that the path names. */
function exclusive(state: ScheduleState): string | undefined {
  const holders = inside(state);
  if (holders.length > 1) return `I8: ${holders.join(" and ")} hold the lock`;
  const file = state.tree.get(LOCK);
  if (holders.length === 1 && file === undefined) {
    return `I8: ${holders[0]} holds a file without a name`;
  }
  return undefined;
}

/** Three processes that want into the same critical section; with kills when there is time. */
function three(body: ProcessBody): ScheduleScenario {
  return {
    processes: { a: body, b: body, c: body },
    check: exclusive,
    kills: exhaustive ? 1 : 0,
  };
}

async function same(ops: FsOps, file: FsHandle, path: string): Promise<boolean> {
  const ours = await ops.fstat(file);
  const there = await ops.lstat(path);
  return ours.nlink > 0 && ours.ino === there?.ino;
}

/** Opens, locks, looks whether the path still names what is locked. */
async function take(
  ops: FsOps,
  flaw?: "no inode check",
): Promise<FsHandle> {
  for (;;) {
    const file = await ops.open(LOCK, {
      access: "read-write",
      create: "if-missing",
      lockable: true,
    });
    if (await ops.flock(file, "exclusive")) {
      if (flaw === "no inode check" || await same(ops, file, LOCK)) return file;
    } else await ops.sleep(1);
    await ops.close(file);
  }
}

describe("a lock file that its holder removes", () => {
  const protocol =
    (flaw?: "no inode check" | "unlinked after unlocking"): ProcessBody =>
    async ({ async: ops }, note) => {
      const file = await take(ops, flaw === "no inode check" ? flaw : undefined);
      note("in");
      await ops.fstat(file);
      note("out");
      if (flaw === "unlinked after unlocking") await ops.funlock(file);
      try {
        await ops.unlink(LOCK);
      } catch {
        // Somebody else removed it: the mistake at work.
      }
      await ops.close(file);
    };

  test("is held by one at a time when it is removed while held and checked after locking", async () => {
    holds(await scheduled(three(protocol())));
  });

  test("without the check after locking breaks I8", async () => {
    breaks(await scheduled(three(protocol("no inode check")), FIRST), "I8");
  });

  test("unlinked after unlocking breaks I8", async () => {
    breaks(await scheduled(three(protocol("unlinked after unlocking")), FIRST), "I8");
  });
});

describe("a lock file born locked", () => {
  const protocol = (publish: "link" | "rename"): ProcessBody => async (fs, note) => {
    const { async: ops } = fs;
    const own = `/.new-${fs.process.pid}`;
    const file = await ops.open(own, { access: "read-write", create: "exclusive" });
    await ops.flock(file, "exclusive");
    try {
      await ops[publish](own, LOCK);
      note("in");
      await ops.fstat(file);
      note("out");
      await ops.unlink(LOCK);
    } catch {
      // EEXIST: another one has it. This one gives up.
    }
    await ops.close(file);
  };

  test("and published by link is held by one at a time", async () => {
    holds(await scheduled(three(protocol("link"))));
  });

  test("and published by a rename onto the shared name breaks I8", async () => {
    breaks(await scheduled(three(protocol("rename")), FIRST), "I8");
  });
});

describe("git's kind of lock, a file made exclusively", () => {
  /** Makes the file, renames it over the resource, and cleans up at its end as a signal handler does. */
  const protocol =
    (handler: "knows the commit" | "unlinks the name"): ProcessBody =>
    async ({ async: ops, sync }, note) => {
      let ours = true;
      try {
        await ops.close(await ops.open(LOCK, { access: "write", create: "exclusive" }));
      } catch {
        return;
      }
      note("in");
      await ops.stat(LOCK);
      note("out");
      sync.rename(LOCK, "/resource");
      if (handler === "knows the commit") ours = false;
      await ops.stat("/resource");
      if (!ours) return;
      try {
        await ops.unlink(LOCK);
      } catch {
        // It is gone: the commit took it.
      }
    };

  test("is safe when the commit and its memory are one step", async () => {
    holds(await scheduled({ ...three(protocol("knows the commit")), kills: 0 }));
  });

  test("breaks I8 when the handler unlinks a name that another process has taken", async () => {
    breaks(await scheduled({ ...three(protocol("unlinks the name")), kills: 0 }, FIRST), "I8");
  });
});

describe("a temporary file and a sweeper", () => {
  type Flaw = "closed before the commit" | "no lock, but the sweep trusts it" | "closed handle";
  const writer = (flaw?: Flaw): ProcessBody => async (fs, note) => {
    const { async: ops } = fs;
    let path = "";
    let file: FsHandle | undefined;
    for (let attempt = 0; file === undefined; attempt++) {
      path = `/.file.${attempt}.l`;
      const opened = await ops.open(path, { access: "write", create: "exclusive" });
      const locked = flaw === "no lock, but the sweep trusts it" ||
        (await ops.flock(opened, "exclusive") && await same(ops, opened, path));
      if (locked) file = opened;
      else await ops.close(opened);
    }
    note(path);
    await ops.write(file, new Uint8Array(1));
    if (flaw === "closed before the commit" || flaw === "closed handle") await ops.close(file);
    if (flaw === "closed handle") await ops.stat("/file");
    // In the same tick it is no temporary file any more.
    try {
      fs.sync.rename(path, "/file");
      note("committed");
    } catch {
      note("swept");
    }
    if (flaw === undefined) await ops.close(file);
  };
  const sweeper: ProcessBody = async ({ async: ops }) => {
    for (const { name } of await ops.readdir("/")) {
      if (!name.endsWith(".l")) continue;
      let file: FsHandle;
      try {
        file = await ops.open(`/${name}`, { access: "read-write", lockable: true });
      } catch {
        continue;
      }
      if (await ops.flock(file, "exclusive") && await same(ops, file, `/${name}`)) {
        await ops.unlink(`/${name}`);
      }
      await ops.close(file);
    }
  };
  const scene = (flaw?: Flaw): ScheduleScenario => ({
    setup(fs) {
      fs.sync.close(fs.sync.open("/.file.dead.l", { access: "write", create: "exclusive" }));
    },
    processes: { writer: writer(flaw), one: sweeper, two: sweeper },
    check({ processes: { writer: state }, tree, kind }) {
      const path = state?.facts.at(-1);
      if (path === "swept") return "I6: the file of a live writer was swept";
      if (state?.outcome === "running" && path?.startsWith("/") && !tree.has(path)) {
        return "I6: the file of a live writer was swept";
      }
      if (state?.outcome === "rejected") return `the writer failed: ${state.error}`;
      return kind === "end" && tree.has("/.file.dead.l") ? "I6: a dead file stays" : undefined;
    },
    kills: 0,
  });

  test("respect each other when the lock lives through the commit", async () => {
    holds(await scheduled(scene()));
    if (!exhaustive) return;
    // A killed writer or sweeper harms nobody either; what it leaves is for the next sweep.
    const scenario = scene();
    holds(
      await scheduled({
        ...scenario,
        kills: 1,
        check: (state) => state.kind === "end" ? undefined : scenario.check(state),
      }),
    );
  });

  for (
    const flaw of [
      "closed before the commit",
      "no lock, but the sweep trusts it",
      "closed handle",
    ] as const
  ) {
    test(`break I6: ${flaw}`, async () => {
      breaks(await scheduled(scene(flaw), FIRST), "I6");
    });
  }
});

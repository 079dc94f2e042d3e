import { describe, test } from "node:test";
import assert from "node:assert/strict";
import {
  AtomicFile,
  type AtomicWriteOptions,
  DurabilityUnknownError,
  type FsAdapter,
  PublishError,
  type Receipt,
} from "@crashsafe/fs";
import type { Crash, CrashScenario, MemoryFs } from "@crashsafe/fs/testing";
import { exhaustive, explored, holds } from "../support/explored.ts";
import { sweepTemps, TEMP_NAME } from "../support/sweep.ts";

const OLD = "the old content";
const NEW = "the new content, over more than one page";
const MEMORY = { pageBytes: 32 };
const MTIME = 1_700_000_000_123_456_789n;
const MODE = 0o640;

/** A way to publish NEW, over any adapter. */
type Terminal = (file: AtomicFile) => Receipt | Promise<Receipt>;

const HALVES = [NEW.slice(0, 10), NEW.slice(10)] as const;
const TERMINALS: Readonly<Record<string, Terminal>> = {
  write: (file) => file.write(NEW),
  writeSync: (file) => file.writeSync(NEW),
  copyFrom: (file) => file.copyFrom("/source"),
  copyFromSync: (file) => file.copyFromSync("/source"),
  concatFrom: (file) => file.concatFrom(["/source"]),
  concatFromSync: (file) => file.concatFromSync(["/source"]),
  writeWith: (file) =>
    file.writeWith(async (sink) => {
      for (const half of HALVES) await sink.write(half);
    }),
  writeWithSync: (file) =>
    file.writeWithSync((sink) => {
      for (const half of HALVES) sink.write(half);
    }),
  stream: (file) => file.stream(HALVES),
  streamSync: (file) => file.streamSync(HALVES),
  writable: async (file) => {
    const { writable, receipt } = file.writable();
    await new Blob(HALVES as unknown as BlobPart[]).stream().pipeTo(writable);
    return await receipt;
  },
};

interface Scene {
  readonly target: string;
  readonly old: boolean;
  readonly options: AtomicWriteOptions;
}

const SCENES: Readonly<Record<string, Scene>> = {
  "a replace": { target: "/dir/file", old: true, options: {} },
  "a new file": { target: "/dir/file", old: false, options: { existing: "fail" } },
  "a new file in new directories": { target: "/dir/a/b/file", old: false, options: {} },
  "a replace through a symbolic link": { target: "/link", old: true, options: {} },
};

function put(fs: MemoryFs, path: string, content: string): void {
  const file = fs.sync.open(path, { access: "write", create: "exclusive", mode: 0o600 });
  fs.sync.write(file, new TextEncoder().encode(content));
  fs.sync.close(file);
}

/** Publishes NEW in a scene, and what must hold of it. */
function scenario(
  scene: Scene,
  terminal: Terminal,
  options: AtomicWriteOptions,
): CrashScenario {
  const real = scene.target === "/link" ? "/dir/file" : scene.target;
  return {
    setup(fs) {
      fs.sync.mkdir("/dir", 0o755);
      fs.symlink("/dir/file", "/link");
      put(fs, "/source", NEW);
      if (scene.old) put(fs, real, OLD);
    },
    async run(adapter, note) {
      const { durability, leftover } = await terminal(
        new AtomicFile(scene.target, {
          ...scene.options,
          ...options,
          mode: MODE,
          mtime: MTIME,
          adapter,
        }),
      );
      if (leftover !== undefined) note("leftover");
      note(`durability ${durability}`);
    },
    recover: (adapter) => sweepTemps(adapter, "/"),
    check: (crash) => violation(crash, real, scene.old),
    // Without an fsync nothing is promised for a power cut.
    ...(options.durability === "none" ? { profiles: [] } : {}),
  };
}

/** What is wrong with a tree that a crash or a fault left. */
function violation(crash: Crash, target: string, old: boolean): string | undefined {
  const { tree, facts, outcome, error, kind, recovered } = crash;
  const file = tree.get(target);
  const durable = facts.includes("durability full");
  if (file === undefined) {
    if (old) return "I1: the file is missing";
    if (durable) return "I2: an acknowledged file is missing";
  } else if (file.content === OLD && old) {
    if (durable || (outcome === "resolved" && kind !== "power cut")) {
      return "I2: an acknowledged version rolled back";
    }
  } else if (file.content !== NEW) {
    return `I1: the file holds ${
      JSON.stringify(file.content.slice(0, 30))
    } (${file.content.length} bytes)`;
  } else if (file.mode !== MODE || file.mtimeNs !== MTIME) {
    return `I4: mode ${file.mode.toString(8)}, time ${file.mtimeNs}`;
  } else if (error instanceof PublishError) return "I5: rejected, and published all the same";
  if (outcome === "rejected" && !(error instanceof PublishError)) {
    if (!(error instanceof DurabilityUnknownError)) return `an error of the wrong kind: ${error}`;
  }
  const others = [...tree.keys()].filter((path) =>
    !path.endsWith("/") && ![target, "/source", "/link"].includes(path)
  );
  const strange = others.find((path) => !TEMP_NAME.test(path.slice(path.lastIndexOf("/") + 1)));
  if (strange !== undefined) return `I6: no sweep would recognise ${strange}`;
  if (recovered && others.length > 0) return `I6: the recovery left ${others[0]}`;
  if (kind !== "end") return undefined;
  const told = facts.includes("leftover") || (error instanceof PublishError && error.leftover);
  return others.length > 0 && !told && outcome !== "running"
    ? `I5: ${others[0]} was left and nobody told`
    : undefined;
}

describe("a crash or a fault anywhere leaves old or new, and what a sweep recognises:", () => {
  for (const [scene, details] of Object.entries(SCENES)) {
    for (const durability of ["full", "file", "none"] as const) {
      test(`${scene}, durability ${durability}`, async () => {
        const names = exhaustive ? Object.keys(TERMINALS) : ["write"];
        for (const name of names) {
          const report = await explored(
            scenario(details, TERMINALS[name] as Terminal, { durability }),
            { memory: MEMORY },
          );
          holds(report);
          assert.ok(report.kills > 10 && report.faults > 20 && report.recoveries > 5, name);
          assert.equal(report.truncated, 0, name);
        }
      });
    }
  }

  test("with a hash, kept owner and every symlink option", async () => {
    const options: readonly AtomicWriteOptions[] = [
      { owner: "preserve" },
      { symlink: "replace" },
      { requireDurability: true },
    ];
    for (const one of exhaustive ? options : options.slice(2)) {
      holds(
        await explored(
          scenario(SCENES["a replace"] as Scene, TERMINALS["write"] as Terminal, one),
          { memory: MEMORY },
        ),
      );
    }
  });
});

describe("of a replace with durability full", () => {
  const replace = (adapter: FsAdapter): Promise<Receipt> =>
    new AtomicFile("/dir/file", { adapter, mode: MODE, mtime: MTIME }).write(NEW);
  const under = async (
    profile: "split-rename" | "block-reuse" | "no-flush" | "no-dir-fsync",
    publish: (adapter: FsAdapter) => Receipt | Promise<Receipt> = replace,
  ): Promise<string[]> => {
    const report = await explored({
      ...scenario(SCENES["a replace"] as Scene, TERMINALS["write"] as Terminal, {}),
      run: async (adapter, note) => note(`durability ${(await publish(adapter)).durability}`),
      profiles: [profile],
      faults: false,
    }, { memory: MEMORY });
    return report.violations.map(({ broken }) => broken.slice(0, 2)).sort();
  };

  test("a disk that splits renames breaks nothing: the old name is overwritten, not removed", async () => {
    assert.deepEqual(await under("split-rename"), []);
  });

  test("a disk that gives blocks away at once breaks nothing: the old file is kept open until it does not matter", async () => {
    const replaceSync = (adapter: FsAdapter): Receipt =>
      new AtomicFile("/dir/file", { adapter, mode: MODE, mtime: MTIME }).writeSync(NEW);
    for (const publish of [replace, replaceSync]) {
      assert.deepEqual(await under("block-reuse", publish), []);
      // As it would be without that.
      const unpinned = (adapter: FsAdapter): FsAdapter => ({
        name: adapter.name,
        sync: { ...adapter.sync, pin: undefined },
        async: { ...adapter.async, pin: undefined },
        capabilities: adapter.capabilities,
        process: adapter.process,
        transientRenameErrors: [],
        classify: (error) => adapter.classify(error),
      });
      const broken = await under("block-reuse", (adapter) => publish(unpinned(adapter)));
      assert.deepEqual([...new Set(broken)], ["I1"]);
    }
  });

  test("a disk that ignores fsync may leave anything", async () => {
    assert.deepEqual([...new Set(await under("no-flush"))], ["I1", "I2", "I4"]);
  });

  test("a disk without directory fsync may bring the old version back, and no more", async () => {
    assert.deepEqual(await under("no-dir-fsync"), ["I2"]);
  });
});

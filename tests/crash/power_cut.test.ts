import { describe, test } from "node:test";
import assert from "node:assert/strict";
import {
  AtomicFile,
  type AtomicWriteOptions,
  type Durability,
  type FsAdapter,
  type Receipt,
} from "@crashsafe/fs";
import { type CrashImage, type CrashProfile, MemoryFs } from "@crashsafe/fs/testing";

const OLD = "the old content";
const NEW = "the new content, over more than one page: ".padEnd(5_000, "n");
const MTIME = 1_700_000_000_123_456_789n;
const MODE = 0o640;
const PROFILES: readonly CrashProfile[] = ["posix", "ordered"];

/** A way to publish NEW as a target, over any adapter. */
type Write = (
  adapter: FsAdapter,
  target: string,
  options: AtomicWriteOptions,
) => Receipt | Promise<Receipt>;

const WRITES: Readonly<Record<string, Write>> = {
  write: (adapter, target, o) => new AtomicFile(target, { ...o, adapter }).write(NEW),
  writeSync: (adapter, target, o) => new AtomicFile(target, { ...o, adapter }).writeSync(NEW),
  copyFrom: (adapter, target, o) => new AtomicFile(target, { ...o, adapter }).copyFrom("/source"),
  copyFromSync: (adapter, target, o) =>
    new AtomicFile(target, { ...o, adapter }).copyFromSync("/source"),
  concatFrom: (adapter, target, o) =>
    new AtomicFile(target, { ...o, adapter }).concatFrom(["/source"]),
  writeWith: (adapter, target, o) =>
    new AtomicFile(target, { ...o, adapter }).writeWith((sink) => sink.write(NEW)),
  stream: (adapter, target, o) => new AtomicFile(target, { ...o, adapter }).stream([NEW]),
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
};

/** A durable disk with a source and, if wanted, an old file. */
function disk({ target, old }: Scene): MemoryFs {
  const fs = new MemoryFs();
  fs.sync.mkdir("/dir", 0o755);
  put(fs, "/source", NEW);
  if (old) put(fs, target, OLD);
  fs.syncAll();
  return fs;
}

function put(fs: MemoryFs, path: string, content: string): void {
  const file = fs.sync.open(path, { access: "write", create: "exclusive", mode: 0o600 });
  fs.sync.write(file, new TextEncoder().encode(content));
  fs.sync.close(file);
}

/** What is wrong with a tree that a crash left, or undefined. */
function violation(image: CrashImage, scene: Scene, durable: boolean): string | undefined {
  const file = image.get(scene.target);
  if (file === undefined) {
    if (scene.old) return "I1: the file is missing";
    if (durable) return "I2: an acknowledged file is missing";
  } else if (file.content === OLD && scene.old) {
    if (durable) return "I2: an acknowledged version rolled back";
  } else if (file.content !== NEW) {
    return `I1: the file holds ${
      JSON.stringify(file.content.slice(0, 30))
    } (${file.content.length} bytes)`;
  } else if (file.mode !== MODE || file.mtimeNs !== MTIME) {
    return `I4: mode ${file.mode.toString(8)}, time ${file.mtimeNs}`;
  }
  const strange = [...image.keys()].find((path) =>
    path !== scene.target && path !== "/source" && !path.endsWith("/") &&
    !/\/\.file\.[a-z2-7]{26}\.cs1[lu]$/.test(path)
  );
  return strange === undefined
    ? undefined
    : `I6: ${strange} is no file that a sweep would recognise`;
}

/** Cuts the power after every operation and at the end; answers the first violation and how much was looked at. */
async function powerCuts(
  write: Write,
  scene: Scene,
  durability: Durability,
  wrap: (fs: MemoryFs) => FsAdapter = (fs) => fs,
): Promise<
  { readonly broken: string | undefined; readonly images: number; readonly cuts: number }
> {
  const fs = disk(scene);
  let broken: string | undefined;
  let images = 0;
  let cuts = 0;
  const story: string[] = [];
  const cut = (durable: boolean): void => {
    cuts++;
    const trees = durability === "none"
      ? [[fs.now()]]
      : PROFILES.map((profile) => fs.images(profile));
    for (const [index, profile] of trees.entries()) {
      for (const image of profile) {
        images++;
        const found = violation(image, scene, durable);
        if (found !== undefined) broken ??= `${story.join(" ")} | ${PROFILES[index]} | ${found}`;
      }
    }
  };
  fs.onOperation = (operation) => {
    story.push(operation);
    cut(false);
  };
  const receipt = await write(wrap(fs), scene.target, {
    ...scene.options,
    durability,
    mode: MODE,
    mtime: MTIME,
  });
  fs.onOperation = undefined;
  assert.equal(receipt.durability, durability);
  cut(durability === "full");
  return { broken, images, cuts };
}

describe("a power cut after any operation leaves old or new", () => {
  for (const [scene, details] of Object.entries(SCENES)) {
    for (const durability of ["full", "file", "none"] as const) {
      test(`${scene}, durability ${durability}`, async (t) => {
        let images = 0;
        let cuts = 0;
        for (const [name, write] of Object.entries(WRITES)) {
          const seen = await powerCuts(write, details, durability);
          assert.equal(seen.broken, undefined, name);
          images += seen.images;
          cuts += seen.cuts;
        }
        assert.ok(images >= cuts && cuts > 50);
        t.diagnostic?.(`${cuts} cuts, ${images} trees`);
      });
    }
  }
});

/** An adapter over the disk with some operations changed. */
function changed(fs: MemoryFs, change: Partial<FsAdapter["sync"]>): FsAdapter {
  const operations = { ...fs.sync, ...change };
  return {
    name: fs.name,
    sync: operations,
    async: operations,
    capabilities: fs.capabilities,
    process: fs.process,
    transientRenameErrors: [],
    classify: (error) => fs.classify(error),
  };
}

describe("the check has teeth:", () => {
  const replace = SCENES["a replace"] as Scene;
  const deep = SCENES["a new file in new directories"] as Scene;
  const write = WRITES["writeSync"] as Write;

  test("a protocol without fsync of the file breaks I1", async () => {
    const { broken } = await powerCuts(
      write,
      replace,
      "full",
      (fs) => changed(fs, { fsync: () => {} }),
    );
    assert.match(broken ?? "", /posix \| I1/);
  });

  test("a protocol without fsync of the directory breaks I2", async () => {
    const { broken } = await powerCuts(
      write,
      replace,
      "full",
      (fs) => changed(fs, { fsyncDir: () => {} }),
    );
    assert.match(broken ?? "", /I2: an acknowledged version rolled back/);
  });

  test("not syncing what contains the topmost new directory breaks I2", async () => {
    const { broken } = await powerCuts(write, deep, "full", (fs) => {
      const paths = new Map<object, string>();
      return changed(fs, {
        openDir: (path) => {
          const handle = fs.sync.openDir(path);
          paths.set(handle, path);
          return handle;
        },
        fsyncDir: (handle) => {
          if (paths.get(handle) !== "/dir") fs.sync.fsyncDir(handle);
        },
      });
    });
    assert.match(broken ?? "", /I2: an acknowledged file is missing/);
  });

  test("setting time and mode after the fsync breaks I4", async () => {
    for (const late of ["futimes", "fchmod"] as const) {
      const { broken } = await powerCuts(write, replace, "full", (fs) => {
        let postponed: (() => void) | undefined;
        return changed(fs, {
          [late]: (handle: object, value: never) => {
            postponed = () => (fs.sync[late] as (file: object, to: never) => void)(handle, value);
          },
          rename: (from, to) => {
            postponed?.();
            fs.sync.rename(from, to);
          },
        });
      });
      assert.match(broken ?? "", /I4/, late);
    }
  });

  test("writing in place breaks I1", async () => {
    const inPlace: Write = (adapter, target) => {
      const file = adapter.sync.open(target, { access: "write" });
      adapter.sync.write(file, new TextEncoder().encode(NEW));
      adapter.sync.fsync(file);
      adapter.sync.close(file);
      return { durability: "full" } as Receipt;
    };
    assert.match((await powerCuts(inPlace, replace, "full")).broken ?? "", /I1/);
  });

  test("a single write without a loop breaks I1", async () => {
    const once: Write = (adapter, target) => {
      const file = adapter.sync.open("/dir/.file.aaaaaaaaaaaaaaaaaaaaaaaaaa.cs1u", {
        access: "write",
        create: "exclusive",
      });
      adapter.sync.write(file, new TextEncoder().encode(NEW).subarray(0, 100));
      adapter.sync.fsync(file);
      adapter.sync.rename("/dir/.file.aaaaaaaaaaaaaaaaaaaaaaaaaa.cs1u", target);
      adapter.sync.close(file);
      return { durability: "full" } as Receipt;
    };
    assert.match((await powerCuts(once, replace, "full")).broken ?? "", /I1/);
  });
});

test("a second write below a directory that is not durable yet makes it durable", async () => {
  const fs = disk({ target: "", old: false, options: {} });
  await new AtomicFile("/dir/a/one", { adapter: fs, durability: "none" }).write("1");
  await new AtomicFile("/dir/a/two", { adapter: fs }).write("2");
  let images = 0;
  for (const profile of PROFILES) {
    for (const image of fs.images(profile)) {
      images++;
      assert.equal(image.get("/dir/a/two")?.content, "2", [...image.keys()].join(" "));
    }
  }
  assert.ok(images > 0);
});

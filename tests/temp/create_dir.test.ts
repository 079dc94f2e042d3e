import { describe, test } from "node:test";
import assert from "node:assert/strict";
import {
  createDirAll,
  createDirAllSync,
  type CreateDirReport,
  creatingDirAll,
  type FsAdapter,
} from "@crashsafe/fs";
import { FaultFs, MemoryFs } from "@crashsafe/fs/testing";

/** `made /a, …`: what an iteration reported. */
function told(reports: readonly CreateDirReport[]): string {
  return reports.map(({ outcome, path, code }) => [outcome, code, path].filter(Boolean).join(" "))
    .join(", ");
}

/** Takes directories away as soon as a creation reports them. */
function againstRemover(
  adapter: FsAdapter,
  dir: string,
  remove: (report: CreateDirReport) => boolean,
): { readonly reports: readonly CreateDirReport[]; readonly error: unknown } {
  const reports: CreateDirReport[] = [];
  try {
    for (const report of creatingDirAll(dir, { adapter })) {
      reports.push(report);
      if (remove(report)) adapter.sync.rmdir(report.path);
    }
  } catch (error) {
    return { reports, error };
  }
  return { reports, error: undefined };
}

function codeOf(run: () => unknown): [code: string, path: string, message: string] {
  try {
    run();
  } catch (error) {
    const { code, path, message } = error as { code: string; path: string; message: string };
    return [code, path, message];
  }
  return assert.fail("no error");
}

describe("the creation of a directory", () => {
  test("goes up to what is there and down again, and reports it", () => {
    const fs = new MemoryFs();
    const reports = [...creatingDirAll("/a/b/c", { adapter: fs })];
    assert.equal(
      told(reports),
      "failed ENOENT /a/b/c, failed ENOENT /a/b, made /a, made /a/b, made /a/b/c",
    );
    assert.deepEqual(reports[1]?.retriesLeft, {
      entireDirectory: 5,
      creationFailure: 23,
      interrupts: 10,
    });
    assert.equal(told([...creatingDirAll("/a/b/c", { adapter: fs })]), "existed /a/b/c");
  });

  test("has a plain call in both colours", async () => {
    const fs = new MemoryFs();
    assert.equal(await createDirAll("/x/y", { adapter: fs }), "/x/y");
    assert.equal(createDirAllSync("z", { adapter: fs }), "/z");
    assert.deepEqual([...fs.now().keys()].sort(), ["/x/", "/x/y/", "/z/"]);
  });

  test("makes 26 levels, and needs a larger budget for 27", () => {
    const deep = (levels: number): string => "/d".repeat(levels);
    createDirAllSync(deep(26), { adapter: new MemoryFs() });
    const [code, , message] = codeOf(() => createDirAllSync(deep(27), { adapter: new MemoryFs() }));
    assert.equal(code, "ENOENT");
    assert.match(message, /25 directories below it are missing as well/);
    createDirAllSync(deep(27), { adapter: new MemoryFs(), retries: { creationFailure: 26 } });
  });

  test("starts again five times when a directory above is taken away, not six", () => {
    for (const [times, wins] of [[5, true], [6, false]] as const) {
      const fs = new MemoryFs();
      let removals = 0;
      const { error, reports } = againstRemover(
        fs,
        "/a/b",
        ({ outcome, path }) => outcome === "made" && path === "/a" && removals++ < times,
      );
      assert.equal(fs.now().has("/a/b/"), wins);
      const left = reports.map(({ retriesLeft }) => retriesLeft.entireDirectory);
      assert.deepEqual([...new Set(left)], [5, 4, 3, 2, 1, 0]);
      if (wins) assert.equal(error, undefined);
      else assert.match(String(error), /somebody removed directories 6 times meanwhile/);
    }
  });

  test("goes on after ten interrupted calls, not after eleven", () => {
    const interrupted = (calls: number): FsAdapter =>
      new FaultFs(
        new MemoryFs(),
        Array.from({ length: calls }, (_, index) => ({
          kinds: ["mkdir" as const],
          errno: "EINTR",
          nth: index + 1,
        })),
      );
    assert.equal(createDirAllSync("/a", { adapter: interrupted(10) }), "/a");
    const [code, , message] = codeOf(() => createDirAllSync("/a", { adapter: interrupted(11) }));
    assert.equal(code, "EINTR");
    assert.match(message, /after 10 retries/);
  });

  test("has whole budgets again after each directory that is there", () => {
    const rules = [1, 3, 5].map((nth) => ({ kinds: ["mkdir" as const], errno: "EINTR", nth }));
    const adapter = new FaultFs(new MemoryFs(), rules);
    const reports = [...creatingDirAll("/a/b", { adapter })];
    // One interrupt before /a is there, one after.
    assert.deepEqual(reports.at(-1)?.retriesLeft, {
      entireDirectory: 5,
      creationFailure: 25,
      interrupts: 10,
    });
  });

  test("is refused by a file in the way, at the end or above", () => {
    const fs = new MemoryFs();
    fs.sync.close(fs.sync.open("/file", { access: "write", create: "exclusive" }));
    fs.symlink("/nowhere", "/dangling");
    for (
      const [dir, path] of [["/file", "/file"], ["/file/a", "/file/a"], ["/dangling", "/dangling"]]
    ) {
      const [code, at] = codeOf(() => createDirAllSync(dir as string, { adapter: fs }));
      assert.deepEqual([code, at], ["ENOTDIR", path]);
    }
    assert.deepEqual([...fs.now().keys()].sort(), ["/dangling", "/file"]);
  });

  test("takes a symbolic link to a directory for one", () => {
    const fs = new MemoryFs();
    fs.sync.mkdir("/real", 0o755);
    fs.symlink("/real", "/link");
    createDirAllSync("/link/a", { adapter: fs });
    createDirAllSync("/link", { adapter: fs });
    assert.ok(fs.now().has("/real/a/"));
  });

  test("loses against a remover of the last directory only when it is done", () => {
    const fs = new MemoryFs();
    const { error } = againstRemover(
      fs,
      "/a/b",
      ({ path }) => path === "/a/b" && fs.now().has("/a/b/"),
    );
    assert.equal(error, undefined);
    assert.ok(!fs.now().has("/a/b/"));
  });

  test("refuses budgets that make no sense, before anything is made", () => {
    const fs = new MemoryFs();
    for (
      const retries of [{ interrupts: -1 }, { entireDirectory: 0.5 }, { creationFailure: NaN }]
    ) {
      assert.throws(() => createDirAllSync("/a", { adapter: fs, retries }), TypeError);
    }
    assert.equal(fs.now().size, 0);
  });

  test("passes every other error on", () => {
    const adapter = new FaultFs(new MemoryFs(), [{ kinds: ["mkdir"], errno: "EROFS", nth: 2 }]);
    assert.equal(codeOf(() => createDirAllSync("/a/b", { adapter }))[0], "EROFS");
  });
});

import { describe, test } from "node:test";
import assert from "node:assert/strict";
import {
  createDirAllSync,
  removeEmptyParents,
  removeEmptyParentsSync,
  removeEmptyTree,
  removeEmptyTreeSync,
  removingEmptyParents,
} from "@crashsafe/fs";
import { FaultFs, MemoryFs } from "@crashsafe/fs/testing";

function withDirs(...dirs: readonly string[]): MemoryFs {
  const adapter = new MemoryFs();
  for (const dir of dirs) createDirAllSync(dir, { adapter });
  return adapter;
}

function put(fs: MemoryFs, path: string): void {
  fs.sync.close(fs.sync.open(path, { access: "write", create: "exclusive" }));
}

const names = (fs: MemoryFs): string =>
  [...fs.now().keys()].map((path) => path.replace(/\/$/, "")).sort().join(" ");

describe("the removal of empty parents", () => {
  test("ends below the boundary, which stays", async () => {
    const fs = withDirs("/top/a/b/c");
    assert.deepEqual(await removeEmptyParents("/top/a/b/c", "/top", { adapter: fs }), [
      "/top/a/b/c",
      "/top/a/b",
      "/top/a",
    ]);
    assert.equal(names(fs), "/top");
  });

  test("ends at what is not empty, without an error", () => {
    const fs = withDirs("/top/a/b/c");
    put(fs, "/top/a/file");
    assert.deepEqual(removeEmptyParentsSync("/top/a/b/c", "/top", { adapter: fs }).length, 2);
    assert.equal(names(fs), "/top /top/a /top/a/file");
  });

  test("is refused for a boundary that does not contain the directory", () => {
    const fs = withDirs("/top/a", "/other", "/topmost");
    for (const boundary of ["/other", "/top/a", "/top/a/b", "/topmost"]) {
      assert.throws(
        () => removeEmptyParentsSync("/top/a", boundary, { adapter: fs }),
        { name: "TypeError", message: /must be contained in its boundary/ },
      );
    }
    assert.throws(() => removeEmptyParentsSync("/top/a/../a", "/top", { adapter: fs }), TypeError);
    assert.equal(names(fs), "/other /top /top/a /topmost");
  });

  test("of a missing directory leaves everything", () => {
    const fs = withDirs("/top/a");
    assert.throws(() => removeEmptyParentsSync("/top/a/b", "/top", { adapter: fs }), {
      code: "ENOENT",
    });
    assert.equal(names(fs), "/top /top/a");
  });

  test("loses against somebody who uses a directory again", () => {
    const fs = withDirs("/top/a/b/c");
    for (const gone of removingEmptyParents("/top/a/b/c", "/top", { adapter: fs })) {
      if (gone === "/top/a/b") fs.sync.mkdir("/top/a/again", 0o755);
    }
    assert.equal(names(fs), "/top /top/a /top/a/again");
  });

  test("goes on where another remover was quicker", () => {
    const fs = withDirs("/top/a/b");
    const gone: string[] = [];
    for (const dir of removingEmptyParents("/top/a/b", "/top", { adapter: fs })) {
      gone.push(dir);
      if (dir === "/top/a/b") fs.sync.rmdir("/top/a");
    }
    assert.deepEqual(gone, ["/top/a/b"]);
    assert.equal(names(fs), "/top");
  });

  test("passes errors on, and tells which directory", () => {
    const adapter = new FaultFs(withDirs("/top/a/b"), [
      { kinds: ["rmdir"], errno: "EBUSY", path: /a$/ },
    ]);
    assert.throws(() => removeEmptyParentsSync("/top/a/b", "/top", { adapter }), {
      code: "EBUSY",
      path: "/top/a",
    });
  });
});

describe("the removal of a tree of empty directories", () => {
  test("removes each directory after those in it", async () => {
    const fs = withDirs("/t/a/b", "/t/c", "/u");
    const gone = await removeEmptyTree("/t", { adapter: fs });
    assert.deepEqual([...gone].sort(), ["/t", "/t/a", "/t/a/b", "/t/c"]);
    assert.equal(gone.at(-1), "/t");
    assert.equal(names(fs), "/u");
  });

  test("removes nothing where there is a file or a link", () => {
    for (const kind of ["file", "link"]) {
      const fs = withDirs("/t/a/b", "/t/c", "/u");
      if (kind === "file") put(fs, "/t/a/x");
      else fs.symlink("/u", "/t/a/x");
      assert.throws(() => removeEmptyTreeSync("/t", { adapter: fs }), {
        code: "ENOTEMPTY",
        path: "/t/a/x",
      });
      assert.equal(names(fs), "/t /t/a /t/a/b /t/a/x /t/c /u");
    }
  });

  test("does not recurse: thousands of levels", () => {
    const fs = withDirs("/t");
    let path = "/t";
    for (let level = 0; level < 1500; level++) {
      path += "/d";
      fs.sync.mkdir(path, 0o755);
    }
    assert.equal(removeEmptyTreeSync("/t", { adapter: fs }).length, 1501);
    assert.equal(names(fs), "");
  });
});

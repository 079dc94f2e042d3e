import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { atomicWriteSync, type FsHandle } from "@crashsafe/fs";
import { type CrashProfile, FaultFs, MemoryFs } from "@crashsafe/fs/testing";

const text = (content: string): Uint8Array => new TextEncoder().encode(content);

function put(fs: MemoryFs, path: string, content: string): FsHandle {
  const file = fs.sync.open(path, { access: "read-write", create: "exclusive" });
  fs.sync.write(file, text(content));
  return file;
}

/** The distinct contents that a power cut may leave at a path. */
function contents(fs: MemoryFs, profile: CrashProfile, path: string): readonly string[] {
  const found = [...fs.images(profile)].map((image) => image.get(path)?.content ?? "(missing)");
  return [...new Set(found)].sort();
}

describe("a power cut", () => {
  test("may lose the name, the size, any page, and tear a page", () => {
    const fs = new MemoryFs({ pageBytes: 4 });
    put(fs, "/a", "abcdefgh");
    const all = contents(fs, "posix", "/a");
    assert.ok(all.includes("(missing)") && all.includes("") && all.includes("abcdefgh"));
    assert.ok(all.includes("\0\0\0\0efgh") && all.includes("abcd\0\0\0\0"), all.join("|"));
    assert.ok(all.includes("ab\0\0efgh"), "a torn page");
  });

  test("shows garbage where data=writeback has not written", () => {
    const fs = new MemoryFs({ pageBytes: 4 });
    put(fs, "/a", "abcd");
    assert.ok(contents(fs, "writeback", "/a").includes("\xdb\xdb\xdb\xdb"));
  });

  test("leaves what fsync of the file and of its directory made durable", () => {
    const fs = new MemoryFs();
    const file = put(fs, "/a", "abc");
    fs.sync.fsync(file);
    assert.deepEqual(contents(fs, "posix", "/a"), ["(missing)", "abc"]);
    // Ordered metadata: the fsync of a file brings all earlier names along.
    assert.deepEqual(contents(fs, "ordered", "/a"), ["abc"]);
    fs.sync.fsyncDir(fs.sync.openDir("/"));
    assert.deepEqual(contents(fs, "posix", "/a"), ["abc"]);
    assert.deepEqual(contents(fs, "no-dir-fsync", "/a"), ["(missing)", "abc"]);
    assert.ok(contents(fs, "no-flush", "/a").includes(""));
  });

  test("keeps the two names of a rename together, but not on a disk that splits them", () => {
    const fs = new MemoryFs();
    fs.sync.fsync(put(fs, "/a", "abc"));
    fs.settle();
    fs.sync.rename("/a", "/b");
    const names = (profile: CrashProfile): readonly string[] =>
      [...fs.images(profile)].map((image) => [...image.keys()].join(" ")).sort();
    assert.deepEqual(names("posix"), ["/a", "/b"]);
    assert.deepEqual(names("split-rename"), ["", "/a", "/a /b", "/b"]);
  });

  test("after a rename over a file brings its data along, with auto_da_alloc", () => {
    const fs = new MemoryFs();
    put(fs, "/old", "old");
    fs.settle();
    put(fs, "/new", "new");
    fs.sync.rename("/new", "/old");
    assert.deepEqual(contents(fs, "auto-da-alloc", "/old"), ["new", "old"]);
    assert.ok(contents(fs, "ordered", "/old").includes(""));
  });

  test("loses for good what a failed fsync was to write, though reads show it and the next fsync succeeds", () => {
    const fs = new MemoryFs();
    const faulty = new FaultFs(fs, [{ kinds: ["fsync"], errno: "EIO" }]);
    const file = faulty.sync.open("/a", { access: "read-write", create: "exclusive" });
    faulty.sync.write(file, text("abc"));
    assert.throws(() => faulty.sync.fsync(file));
    faulty.sync.fsync(file);
    faulty.sync.fsyncDir(faulty.sync.openDir("/"));
    assert.equal(fs.now().get("/a")?.content, "abc");
    assert.deepEqual(contents(fs, "posix", "/a"), ["\0\0\0"]);
    // What is written anew is a new version, and durable again.
    faulty.sync.write(file, text("xyz"), 0);
    faulty.sync.fsync(file);
    assert.deepEqual(contents(fs, "posix", "/a"), ["xyz"]);
  });

  test("after a failed directory fsync a later one covers only later names", () => {
    const fs = new MemoryFs();
    const faulty = new FaultFs(fs, [{ kinds: ["fsyncDir"], errno: "EIO" }]);
    const dir = faulty.sync.openDir("/");
    faulty.sync.fsync(faulty.sync.open("/a", { access: "write", create: "exclusive" }));
    assert.throws(() => faulty.sync.fsyncDir(dir));
    faulty.sync.fsync(faulty.sync.open("/b", { access: "write", create: "exclusive" }));
    faulty.sync.fsyncDir(dir);
    assert.deepEqual(contents(fs, "posix", "/a"), ["", "(missing)"]);
    assert.deepEqual(contents(fs, "posix", "/b"), [""]);
  });

  test("has the same trees again after a restart on one of them", () => {
    const fs = new MemoryFs();
    fs.sync.mkdir("/d", 0o750);
    put(fs, "/d/a", "abc");
    fs.sync.link("/d/a", "/d/b");
    fs.symlink("a", "/d/c");
    const again = MemoryFs.from(fs.now());
    assert.deepEqual([...again.now().keys()].sort(), ["/d/", "/d/a", "/d/b", "/d/c"]);
    assert.equal(again.sync.stat("/d/b")?.nlink, 2);
    assert.equal(again.sync.stat("/d/c")?.size, 3);
    assert.equal([...again.images("posix")].length, 1);
  });
});

describe("processes of a MemoryFs", () => {
  test("exclude each other by locks, which die with them", () => {
    const fs = new MemoryFs();
    put(fs, "/lock", "");
    const [a, b] = [fs.spawn(), fs.spawn()];
    const open = (process: typeof a): FsHandle =>
      process.sync.open("/lock", { access: "read-write" });
    const [one, two] = [open(a), open(b)];
    assert.equal(a.sync.flock(one, "shared"), true);
    assert.equal(b.sync.flock(two, "shared"), true);
    // A conversion that fails has lost the shared lock.
    assert.equal(a.sync.flock(one, "exclusive"), false);
    assert.deepEqual(fs.locks.map(({ pid }) => pid), [b.process.pid]);
    b.kill();
    assert.equal(a.sync.flock(one, "exclusive"), true);
    assert.equal(b.openHandles, 0);
    assert.throws(() => b.sync.stat("/"), { code: "ESRCH" });
  });

  test("keep what they have open when its name is gone, and inode numbers can come back", () => {
    const fs = new MemoryFs({ reuseInodes: true });
    const file = put(fs, "/a", "abc");
    fs.settle();
    fs.sync.unlink("/a");
    assert.equal(fs.sync.fstat(file).nlink, 0);
    const { ino } = fs.sync.fstat(file);
    assert.notEqual(fs.sync.fstat(put(fs, "/b", "")).ino, ino);
    fs.settle();
    fs.sync.close(file);
    assert.equal(fs.sync.fstat(put(fs, "/c", "")).ino, ino);
  });

  test("follow symbolic links where calls do, and refuse them where asked", () => {
    const fs = new MemoryFs();
    fs.sync.mkdir("/real", 0o755);
    fs.symlink("real", "/link");
    fs.symlink("/loop", "/loop");
    fs.sync.close(put(fs, "/link/file", "abc"));
    assert.equal(fs.now().get("/real/file")?.content, "abc");
    assert.equal(fs.sync.readlink("/link"), "real");
    assert.notEqual(fs.sync.stat("/link")?.ino, fs.sync.lstat("/link")?.ino);
    assert.throws(() => fs.sync.open("/link", { access: "read", noFollow: true }), {
      code: "ELOOP",
    });
    assert.throws(() => fs.sync.stat("/loop"), { code: "ELOOP" });
    assert.equal(fs.sync.stat("/link/../real/file")?.size, 3);
    atomicWriteSync("/link/file", "new", { adapter: fs });
    assert.equal(fs.now().get("/real/file")?.content, "new");
  });

  test("move directories, and no directory into itself", () => {
    const fs = new MemoryFs();
    fs.sync.mkdir("/a", 0o755);
    fs.sync.mkdir("/a/b", 0o755);
    fs.sync.close(put(fs, "/a/b/file", "abc"));
    assert.throws(() => fs.sync.rename("/a", "/a/b/c"), { code: "EINVAL" });
    fs.sync.rename("/a/b", "/moved");
    assert.deepEqual([...fs.now().keys()].sort(), ["/a/", "/moved/", "/moved/file"]);
    fs.sync.mkdir("/full", 0o755);
    fs.sync.close(put(fs, "/full/file", ""));
    assert.throws(() => fs.sync.rename("/moved", "/full"), { code: "ENOTEMPTY" });
    assert.throws(() => fs.sync.rename("/moved", "/full/file"), { code: "ENOTDIR" });
    fs.sync.rename("/moved", "/a");
    assert.equal(fs.now().get("/a/file")?.content, "abc");
  });
});

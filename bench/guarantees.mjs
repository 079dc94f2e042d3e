// What each contender promises, and why: its source was read, at the version that package.json pins. `node bench/verify.mjs`
// runs every one of them and compares what can be seen from outside with this table.

/** The columns, with what a yes means. */
export const GUARANTEES = {
  fileFsync: "The bytes are on the disk before the name is",
  directoryFsync: "The new name survives a power cut once the call has returned",
  fullDisk: "A write that comes out short is an error, not a truncated file",
  temp: "The temporary file is created exclusively, under a name nobody can guess",
  mode: "The mode of the old file is kept",
  owner: "The owner of the old file is kept, where the process may set it",
};

const yes = (why) => ({ yes: true, why });
const no = (why) => ({ yes: false, why });
/** Not by its own doing. Deno's node:fs loops on short writes itself. */
const onlyOnDeno = (why) => ({
  yes: false,
  but: ["Deno"],
  why: `${why}; Deno's node:fs loops itself`,
});

const rawNode = {
  fileFsync: yes("fsync before the rename"),
  directoryFsync: yes("fsync of the directory after the rename"),
  fullDisk: onlyOnDeno("the count that write answers is not looked at"),
  temp: no("O_EXCL and O_NOFOLLOW, but the name is a counter"),
  mode: no("fchmod to 0644"),
  owner: no("no chown"),
};

const c = {
  ...rawNode,
  fullDisk: yes("ends when write answers less"),
};

const crashsafe = {
  fileFsync: yes("fsync after owner, mode and times, before the rename"),
  directoryFsync: yes("fsync of a directory opened before the rename"),
  fullDisk: yes("loops on short writes; ENOSPC rejects with the old file in place"),
  temp: yes("O_EXCL, O_NOFOLLOW and 130 random bits"),
  mode: yes("fchmod to the old file's, as long as the caller names none"),
  owner: yes("fchown to the old file's; what could not be kept is in the receipt"),
};

const crashsafeFile = {
  ...crashsafe,
  directoryFsync: no("left out on request: the last versions may roll back"),
};

const writeFileAtomic = {
  fileFsync: yes("fsync, then close, chown, chmod and rename: owner and mode may be lost"),
  directoryFsync: no("the directory is never opened"),
  fullDisk: onlyOnDeno("one write, whose count is not looked at, then the rename"),
  temp: no('opened with "w", not exclusively; the name hashes process id, thread and a counter'),
  mode: yes("chmod to the old file's"),
  owner: yes("chown to the old file's"),
};

const atomically = {
  fileFsync: yes("fsync, then close, chown, chmod and rename: owner and mode may be lost"),
  directoryFsync: no("the directory is never opened"),
  fullDisk: onlyOnDeno("one write, whose count is not looked at, then the rename"),
  temp: no('opened with "w", not exclusively; the name is the time and 24 bits of Math.random'),
  mode: yes("chmod to the old file's"),
  owner: yes("chown to the old file's; a failure is ignored"),
};

const fastWriteAtomic = {
  fileFsync: yes("fsync before close and rename"),
  directoryFsync: no("the directory is never opened"),
  fullDisk: yes("loops on short writes of bytes; with a string the loop writes it whole again"),
  temp: no('opened with "w", not exclusively; the name is process id and a counter'),
  mode: no("no chmod"),
  owner: no("no chown"),
};

const steno = {
  fileFsync: no("writeFile without flush, then rename"),
  directoryFsync: no("the directory is never opened"),
  fullDisk: yes("node:fs writeFile loops until everything is written"),
  temp: no("writeFile, not exclusive; always the same name: two processes write into one file"),
  mode: no("no chmod"),
  owner: no("no chown"),
};

/** By the name of the contender. */
export const CONTENDERS = {
  "C": c,
  "C, no directory fsync": { ...c, directoryFsync: no("left out") },
  "raw node:fs, sync": rawNode,
  "raw node:fs, promises": rawNode,
  "atomicWriteSync": crashsafe,
  "atomicWrite": crashsafe,
  "atomicWriteSync, durability file": crashsafeFile,
  "atomicWrite, durability file": crashsafeFile,
  "atomicWrite, coalesce, one path": crashsafe,
  "atomicWriteAll": crashsafe,
  "atomicWriteAllSync": crashsafe,
  "write-file-atomic, sync": writeFileAtomic,
  "write-file-atomic": writeFileAtomic,
  "atomically, sync": atomically,
  "atomically": atomically,
  "fast-write-atomic": fastWriteAtomic,
  "steno": steno,
};

/** Whether it holds on this runtime. */
export function holds(contender, guarantee, runtime) {
  const { yes, but = [] } = CONTENDERS[contender][guarantee];
  return yes !== but.includes(runtime);
}

/** "yes", "no", or "on Deno". */
export function inWords(contender, guarantee) {
  const { yes, but = [] } = CONTENDERS[contender][guarantee];
  if (but.length > 0) return `${yes ? "not on" : "on"} ${but.join(", ")}`;
  return yes ? "yes" : "no";
}

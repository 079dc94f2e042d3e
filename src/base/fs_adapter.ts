/**
 * The small interface that every runtime fills, and nothing more: one system call a method, no
 * retries, no policy. The core is written against it alone, so a new runtime, an in-memory file
 * system or a fault injector is one object of this shape. `@crashsafe/fs/testing` has the
 * conformance suite that an adapter must pass.
 *
 * @module
 */

/**
 * A value now, or a promise of it: what the methods of {@linkcode FsOps} answer.
 *
 * @example Await either
 * ```ts
 * import { type MaybePromise } from "@crashsafe/fs";
 *
 * const answers: MaybePromise<number>[] = [1, Promise.resolve(2)];
 * for (const answer of answers) console.log(await answer);
 * ```
 */
export type MaybePromise<T> = T | PromiseLike<T>;

/**
 * An open file or directory. Only the adapter that made it looks inside.
 *
 * @example Open and close
 * ```ts
 * import { type FsHandle, systemAdapter } from "@crashsafe/fs";
 *
 * const { sync } = systemAdapter();
 * const dir: FsHandle = sync.openDir(".");
 * sync.close(dir);
 * ```
 */
export type FsHandle = object;

/**
 * What stat(2) tells. `mode` holds the file type bits as well as the permissions.
 *
 * @example Is it the same file?
 * ```ts
 * import { type FileStat, systemAdapter } from "@crashsafe/fs";
 *
 * const here: FileStat | undefined = systemAdapter().sync.stat(".");
 * console.log(here?.nlink);
 * ```
 */
export interface FileStat {
  /** The device that holds the inode. */
  readonly dev: bigint;
  /** The inode number, unique on its device while the file exists. */
  readonly ino: bigint;
  /** How many names the inode has. */
  readonly nlink: number;
  /** File type and permission bits, as `st_mode`. */
  readonly mode: number;
  /** The owner's user id. */
  readonly uid: number;
  /** The owner's group id. */
  readonly gid: number;
  /** The size in bytes. */
  readonly size: number;
  /** The modification time in nanoseconds since 1970, as precise as the runtime reads it. */
  readonly mtimeNs: bigint;
}

/**
 * What a directory entry is, as far as the directory tells.
 *
 * @example Count by kind
 * ```ts
 * import { type EntryKind, systemAdapter } from "@crashsafe/fs";
 *
 * const kinds: EntryKind[] = systemAdapter().sync.readdir(".").map(({ kind }) => kind);
 * console.log(new Set(kinds).size);
 * ```
 */
export type EntryKind = "file" | "directory" | "symlink" | "other";

/**
 * One name in a directory.
 *
 * @example List a directory
 * ```ts
 * import { type DirEntry, systemAdapter } from "@crashsafe/fs";
 *
 * const entries: readonly DirEntry[] = systemAdapter().sync.readdir(".");
 * console.log(entries.filter(({ kind }) => kind === "directory").length);
 * ```
 */
export interface DirEntry {
  /** The name, without its directory. */
  readonly name: string;
  /** What the name stands for; a symlink is not followed. */
  readonly kind: EntryKind;
}

/**
 * How {@linkcode FsOps.open} opens.
 *
 * @example A new file, or an error
 * ```ts
 * import { type OpenOptions } from "@crashsafe/fs";
 * import { MemoryFs } from "@crashsafe/fs/testing";
 *
 * const options: OpenOptions = { access: "write", create: "exclusive", mode: 0o600 };
 * const { sync } = new MemoryFs();
 * sync.close(sync.open("/file", options));
 * ```
 */
export interface OpenOptions {
  /** What the handle may do. Reading never waits for the writer of a FIFO (O_NONBLOCK). */
  readonly access: "read" | "write" | "read-write";
  /** `"exclusive"`: fail with EEXIST if the name is taken. Left out: fail with ENOENT if it is not. */
  readonly create?: "exclusive" | "if-missing";
  /** Permission bits of a file that this call creates, before the umask. */
  readonly mode?: number;
  /** Refuse (ELOOP) when the last component is a symbolic link. */
  readonly noFollow?: boolean;
  /** The handle will be given to {@linkcode FsOps.flock}. */
  readonly lockable?: boolean;
}

/**
 * The kinds of a flock(2).
 *
 * @example Together with others
 * ```ts
 * import { type LockKind } from "@crashsafe/fs";
 * import { MemoryFs } from "@crashsafe/fs/testing";
 *
 * const kind: LockKind = "shared";
 * const { sync } = new MemoryFs();
 * console.log(sync.flock(sync.open("/lock", { access: "write", create: "exclusive" }), kind)); // true
 * ```
 */
export type LockKind = "exclusive" | "shared";

/**
 * The operations of a file system, one system call each. A method fails by throwing (or rejecting
 * with) the runtime's own error, which {@linkcode FsAdapter.classify} can name.
 *
 * @example By the asynchronous operations
 * ```ts
 * import { type FsOps, systemAdapter } from "@crashsafe/fs";
 *
 * const ops: FsOps = systemAdapter().async;
 * console.log((await ops.stat("."))?.size);
 * ```
 */
export interface FsOps {
  /** open(2), close-on-exec. */
  open(path: string, options: OpenOptions): MaybePromise<FsHandle>;
  /** Opens a directory, for {@linkcode fsyncDir} and {@linkcode syncFs}. */
  openDir(path: string): MaybePromise<FsHandle>;
  /** read(2), or pread(2) with a position. Answers 0 at the end; may answer less than asked. */
  read(handle: FsHandle, buffer: Uint8Array, position?: number): MaybePromise<number>;
  /** write(2), or pwrite(2) with a position. May write less than asked. */
  write(handle: FsHandle, bytes: Uint8Array, position?: number): MaybePromise<number>;
  /** fsync(2) of a file: data, size, mode, owner and times. */
  fsync(handle: FsHandle): MaybePromise<void>;
  /** fsync(2) of a directory: the names in it. */
  fsyncDir(handle: FsHandle): MaybePromise<void>;
  /** syncfs(2) of the file system that holds the handle. */
  syncFs(handle: FsHandle): MaybePromise<void>;
  /** close(2), of files and directories. */
  close(handle: FsHandle): MaybePromise<void>;
  /** stat(2); `undefined` when nothing has this name (ENOENT). */
  stat(path: string): MaybePromise<FileStat | undefined>;
  /** lstat(2); `undefined` when nothing has this name (ENOENT). */
  lstat(path: string): MaybePromise<FileStat | undefined>;
  /** fstat(2). */
  fstat(handle: FsHandle): MaybePromise<FileStat>;
  /** chmod(2): follows symbolic links. For what cannot be opened; {@linkcode fchmod} is for all else. */
  chmod(path: string, mode: number): MaybePromise<void>;
  /** fchmod(2). */
  fchmod(handle: FsHandle, mode: number): MaybePromise<void>;
  /** fchown(2). */
  fchown(handle: FsHandle, uid: number, gid: number): MaybePromise<void>;
  /** Sets the modification time; the access time is left alone where the runtime can. */
  futimes(handle: FsHandle, mtimeNs: bigint): MaybePromise<void>;
  /** flock(2) without waiting: `false` when somebody else holds it. */
  flock(handle: FsHandle, kind: LockKind): MaybePromise<boolean>;
  /**
   * Waits until the lock is had, and answers true; false when the signal came first. Only asynchronous operations have it,
   * and only where each try is dear (the flock(1) program): elsewhere waiting is a loop of {@linkcode flock}.
   */
  readonly flockWait?:
    | ((handle: FsHandle, kind: LockKind, signal: AbortSignal) => PromiseLike<boolean>)
    | undefined;
  /** Gives the lock of {@linkcode flock} back. */
  funlock(handle: FsHandle): MaybePromise<void>;
  /** readlink(2). */
  readlink(path: string): MaybePromise<string>;
  /** rename(2). */
  rename(from: string, to: string): MaybePromise<void>;
  /** link(2): a second name for a file; EEXIST when `to` is taken. */
  link(from: string, to: string): MaybePromise<void>;
  /** unlink(2). */
  unlink(path: string): MaybePromise<void>;
  /** mkdir(2), not recursive. */
  mkdir(path: string, mode: number): MaybePromise<void>;
  /** rmdir(2). */
  rmdir(path: string): MaybePromise<void>;
  /** All names in a directory but `.` and `..`, in no order. */
  readdir(path: string): MaybePromise<readonly DirEntry[]>;
  /**
   * Gives the empty file `to` the content of `from` by sharing its blocks (ioctl_ficlone(2)). Answers `false`, having
   * changed nothing, where the file system or the pair of files does not allow it.
   */
  clone(from: FsHandle, to: FsHandle): MaybePromise<boolean>;
  /**
   * Opens a file only to keep its inode and its blocks from being freed when its last name goes: that then waits for {@linkcode close}, which for an
   * asynchronous caller does it on another thread. Undefined, or answering undefined, where it helps nobody.
   */
  readonly pin?: ((path: string, dev: bigint) => MaybePromise<FsHandle | undefined>) | undefined;
  /** Waits. In an adapter, so that the testing kit can run it on a clock of its own. */
  sleep(ms: number): MaybePromise<void>;
}

/**
 * {@linkcode FsOps} whose every method answers at once.
 *
 * @example By the synchronous operations
 * ```ts
 * import { type SyncFsOps, systemAdapter } from "@crashsafe/fs";
 *
 * const ops: SyncFsOps = systemAdapter().sync;
 * console.log(ops.stat(".")?.size);
 * ```
 */
export type SyncFsOps =
  & {
    readonly [K in Exclude<keyof FsOps, "flockWait" | "pin">]: (
      ...args: Parameters<FsOps[K]>
    ) => Awaited<ReturnType<FsOps[K]>>;
  }
  & {
    readonly pin?: ((path: string, dev: bigint) => FsHandle | undefined) | undefined;
  };

/**
 * The units in which a modification time can be exact, finest first.
 *
 * @example How exactly times are set
 * ```ts
 * import { systemAdapter, type TimePrecision } from "@crashsafe/fs";
 *
 * const precision: TimePrecision = systemAdapter().capabilities.mtimePrecision;
 * console.log(precision);
 * ```
 */
export type TimePrecision = "ns" | "us" | "ms" | "s";

/**
 * Facts about an adapter, probed at the first look, never guessed from a runtime's name.
 *
 * @example Look before you choose
 * ```ts
 * import { type Capabilities, systemAdapter } from "@crashsafe/fs";
 *
 * const { flock, syncFs }: Capabilities = systemAdapter().capabilities;
 * console.log(flock, syncFs);
 * ```
 */
export interface Capabilities {
  /** Who answers flock(2): the runtime, a foreign function call, the flock(1) program, or nobody. */
  readonly flock: "native" | "ffi" | "helper" | "none";
  /** How exactly {@linkcode FsOps.futimes} sets a time. */
  readonly mtimePrecision: TimePrecision;
  /** How exactly stat reads a time. */
  readonly mtimeReadPrecision: TimePrecision;
  /** Whether files can be fsynced (Node's `--permission` forbids it). */
  readonly fsync: boolean;
  /** Whether directories can be fsynced (Windows cannot). */
  readonly fsyncDir: boolean;
  /** Whether {@linkcode FsOps.syncFs} works. */
  readonly syncFs: boolean;
  /** Whether {@linkcode FsOps.clone} can be tried. */
  readonly clone: boolean;
  /** Whether fchmod, fchown and futimes are allowed (Node's `--permission` forbids them). */
  readonly handleMetadata: boolean;
}

/**
 * What the core must know of its process.
 *
 * @example Who we are
 * ```ts
 * import { type ProcessHooks, systemAdapter } from "@crashsafe/fs";
 *
 * const { pid }: ProcessHooks = systemAdapter().process;
 * console.log(pid > 0); // true
 * ```
 */
export interface ProcessHooks {
  /** The process id. */
  readonly pid: number;
  /** The working directory, absolute. */
  cwd(): string;
  /** The path that a `file:` URL names. Throws a TypeError for other URLs. */
  fromFileUrl(url: URL): string;
  /**
   * Whose state this process shares: the writers waiting for their turn, the locks held. Left out: all of this realm's, as
   * is right for a real process. A simulated process brings an object of its own.
   */
  readonly realm?: object;
  /** Fills `bytes` with random bits that nobody can guess. Left out: `crypto.getRandomValues`. */
  random?(bytes: Uint8Array): void;
  /** Milliseconds on a clock that never goes back. Left out: `performance.now`. */
  now?(): number;
  /** How the process ends. Left out: nothing can be cleaned up then. */
  readonly exits?: ExitHooks;
}

/**
 * How a process ends, and what may happen before. Nothing here does anything before it is called.
 *
 * @example Whether the process can be watched
 * ```ts
 * import { type ExitHooks, systemAdapter } from "@crashsafe/fs";
 *
 * const exits: ExitHooks | undefined = systemAdapter().process.exits;
 * console.log(exits?.countListeners("SIGTERM"));
 * ```
 */
export interface ExitHooks {
  /** Listens for a signal (`"SIGTERM"`). Answers how to stop. A listener does not keep the process alive. */
  onSignal(signal: string, listener: () => void): () => void;
  /** How many listeners a signal has, as far as can be seen. */
  countListeners(signal: string): number;
  /** Sends a signal to this process. */
  raise(signal: string): void;
  /** Calls back when this realm ends by anything but a signal. Answers how to stop. */
  onExit(listener: () => void): () => void;
  /**
   * A line between the main thread, which alone listens for signals, and its workers. It does not keep the process alive.
   * Undefined for a process without workers.
   */
  readonly workers: WorkerLine | undefined;
}

/**
 * A line between the realms of a process.
 *
 * @example Are we the main thread?
 * ```ts
 * import { systemAdapter, type WorkerLine } from "@crashsafe/fs";
 *
 * const line: WorkerLine | undefined = systemAdapter().process.exits?.workers;
 * console.log(line?.isMain);
 * ```
 */
export interface WorkerLine {
  /** Whether this is the main thread. */
  readonly isMain: boolean;
  /** Opens one end: it hears what is said on the same topic at other ends. */
  open(topic: string, receive: (message: unknown) => void): {
    /** Says something to all other ends of the topic, also if this end is closed right after. */
    send(message: unknown): void;
    /** Hangs up. */
    close(): void;
  };
}

/**
 * A hash being computed.
 *
 * @example A hash of the runtime
 * ```ts
 * import { type RunningDigest, systemAdapter } from "@crashsafe/fs";
 *
 * const running: RunningDigest | undefined = systemAdapter().digest?.("sha256");
 * running?.update(new Uint8Array([1]));
 * console.log(running?.digest().byteLength); // 32
 * ```
 */
export interface RunningDigest {
  /** Takes the next bytes. */
  update(bytes: Uint8Array): unknown;
  /** The digest of all bytes taken. Called once, last. */
  digest(): Uint8Array;
}

/**
 * A runtime, as the core sees it.
 *
 * @example One that writes down what is done
 * ```ts
 * import { atomicWriteSync, type FsAdapter } from "@crashsafe/fs";
 * import { FaultFs, MemoryFs } from "@crashsafe/fs/testing";
 *
 * const adapter: FsAdapter = new FaultFs(new MemoryFs());
 * atomicWriteSync("/file", "data", { adapter });
 * ```
 */
export interface FsAdapter {
  /** A word for messages and reports: `"deno"`, `"bun"`, `"node"`, … */
  readonly name: string;
  /** The operations, each done when it returns. */
  readonly sync: SyncFsOps;
  /** The operations for asynchronous callers: short ones may answer at once, long ones promise. */
  readonly async: FsOps;
  /** What works here. */
  readonly capabilities: Capabilities;
  /** The process around us. */
  readonly process: ProcessHooks;
  /** Codes of rename errors that pass by themselves (Windows: a virus scanner holds the file). */
  readonly transientRenameErrors: readonly string[];
  /** The errno name of a native error (`"ENOSPC"`), or `undefined` when it has none. */
  classify(error: unknown): string | undefined;
  /** Starts one of the hashes that the runtime has built in, or answers `undefined`. */
  digest?(algorithm: "sha256" | "sha512"): RunningDigest | undefined;
}

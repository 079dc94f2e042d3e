/** What a crash leaves: a tree, with what a reboot reads from it. */

/**
 * A tree as it is found after a crash: by absolute path. The paths of directories end in `/`; the root is left out.
 *
 * @example All paths of a tree
 * ```ts
 * import { atomicWriteSync } from "@crashsafe/fs";
 * import { type CrashImage, MemoryFs } from "@crashsafe/fs/testing";
 *
 * const disk = new MemoryFs();
 * atomicWriteSync("/file", "data", { adapter: disk });
 * const tree: CrashImage = disk.now();
 * console.log([...tree.keys()]); // [ "/file" ]
 * ```
 */
export type CrashImage = ReadonlyMap<string, ImageFile>;

/**
 * A file, directory or symbolic link after a crash.
 *
 * @example What a reboot reads
 * ```ts
 * import { atomicWriteSync } from "@crashsafe/fs";
 * import { type ImageFile, MemoryFs } from "@crashsafe/fs/testing";
 *
 * const disk = new MemoryFs();
 * atomicWriteSync("/file", "data", { adapter: disk });
 * const file: ImageFile | undefined = disk.now().get("/file");
 * console.log(file?.content); // data
 * ```
 */
export interface ImageFile {
  /** What reading it gives, one character a byte; where a symbolic link points; nothing for a directory. */
  readonly content: string;
  /** Its permission bits. */
  readonly mode: number;
  /** Its owner's user id. */
  readonly uid: number;
  /** Its owner's group id. */
  readonly gid: number;
  /** Its modification time in nanoseconds. */
  readonly mtimeNs: bigint;
  /** Its inode number: two names of one file have the same. */
  readonly ino: number;
  /** Whether it is a symbolic link. */
  readonly symlink: boolean;
}

/** An image as one line of text: equal text, equal image. */
export function imageKey(image: CrashImage): string {
  let text = "";
  for (const path of [...image.keys()].sort()) {
    const { content, mode, uid, gid, mtimeNs, ino, symlink } = image.get(path) as ImageFile;
    text += `${path}\0${content}\0${mode} ${uid} ${gid} ${mtimeNs} ${ino} ${symlink}\n`;
  }
  return text;
}

/**
 * An image as lines for people.
 *
 * @param image The tree.
 * @returns A line a path, long contents cut.
 *
 * @example Show what a power cut may leave
 * ```ts
 * import { describeImage, MemoryFs } from "@crashsafe/fs/testing";
 *
 * const fs = new MemoryFs();
 * fs.sync.mkdir("/data", 0o755);
 * for (const image of fs.images("posix")) console.log(describeImage(image));
 * ```
 */
export function describeImage(image: CrashImage): string {
  const lines = [...image].map(([path, { content, mode, symlink }]) => {
    if (path.endsWith("/")) return path;
    if (symlink) return `${path} -> ${content}`;
    const shown = content.length > 40 ? `${content.slice(0, 40)}…` : content;
    return `${path}  ${mode.toString(8)}  ${content.length} bytes ${JSON.stringify(shown)}`;
  });
  return lines.length === 0 ? "(nothing)" : lines.join("\n");
}

/**
 * What callers may call a path, and what it becomes. A relative path is made absolute at once, so a
 * later change of the working directory cannot move a write. `..` is left for the kernel to resolve:
 * behind a symbolic link it means something else than the text says.
 */

import { basename, dirname, isAbsolute, resolve } from "node:path";
import type { FsAdapter } from "./fs_adapter.ts";
import { MisuseError } from "./errors.ts";

/** The absolute form of what the caller calls a path. */
export function absolutePath(path: string | URL, adapter: FsAdapter): string {
  const text = path instanceof URL ? adapter.process.fromFileUrl(path) : path;
  if (typeof text !== "string") {
    throw new MisuseError(`A path must be a string or a file: URL, not ${nameOf(text)}`);
  }
  if (text === "") throw new MisuseError("A path must not be empty");
  if (text.includes("\0")) {
    throw new MisuseError(`A path must not contain NUL: ${JSON.stringify(text)}`);
  }
  // A lone surrogate has no UTF-8 form: the runtime would write a file of another name.
  if (!text.isWellFormed()) {
    throw new MisuseError(`A path must be well-formed Unicode: ${JSON.stringify(text)}`);
  }
  if (isAbsolute(text)) return text;
  const cwd = adapter.process.cwd();
  return cwd.endsWith("/") ? cwd + text : `${cwd}/${text}`;
}

/** The absolute form of a path that must end in the name of a file. */
export function absoluteFilePath(path: string | URL, adapter: FsAdapter): string {
  const text = absolutePath(path, adapter);
  const name = basename(text);
  if (name === "" || TRAILING_SEPARATOR.test(text)) {
    throw new MisuseError(`A file needs a name, but "${text}" ends like a directory`);
  }
  if (name === "." || name === "..") {
    throw new MisuseError(`A file needs a name, but "${text}" ends in "${name}"`);
  }
  return text;
}

/** Where a symbolic link at `link` that reads `target` leads to, `..` left to the kernel. */
export function linkDestination(link: string, target: string): string {
  return isAbsolute(target) ? target : `${dirname(link)}/${target}`;
}

/** One spelling for all ways to write a path, for use as a key only. */
export function pathKey(path: string): string {
  return resolve(path);
}

/** What a wrong argument is, for a message. */
export function nameOf(value: unknown): string {
  if (value === null) return "null";
  if (typeof value !== "object") return typeof value;
  const name = Object.getPrototypeOf(value)?.constructor?.name;
  return typeof name === "string" && name !== "" ? name : "object";
}

// On POSIX a backslash is an ordinary character of a name; node:path knows which system this is.
const TRAILING_SEPARATOR = basename("a\\") === "a" ? /[/\\]$/ : /\/$/;

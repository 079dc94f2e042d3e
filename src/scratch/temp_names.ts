/**
 * The names of temporary files: `.<name>.<26 base32>.cs1u` or `….cs1l`.
 *
 * A name says its class. `l`: its writer holds a flock on the file for as long as it lives, so
 * whoever gets that lock has proof that the writer is dead. `u`: no lock says anything; only age
 * does. 26 characters of base32 are 130 random bits: unpredictable, and equal on file systems that
 * ignore case. The middle is the target's own name, shortened so that the whole fits.
 */

import type { ProcessHooks } from "../base/fs_adapter.ts";

/** What the name of a temporary file promises about its writer. */
export type TempClass = "l" | "u";

/** A name that nobody can have guessed, for a temporary sibling of `target`. */
export function tempName(
  target: string,
  tempClass: TempClass,
  random?: ProcessHooks["random"],
): string {
  const id = randomId(random);
  return `.${shortenName(target, MAX_NAME_BYTES - OVERHEAD_BYTES)}.${id}.cs1${tempClass}`;
}

/** Reads the class from a name made by {@linkcode tempName}; `undefined` for all other names. */
export function tempClassOf(name: string): TempClass | undefined {
  return TEMP_NAME.exec(name)?.[1] as TempClass | undefined;
}

const TEMP_NAME = /^\..*\.[a-z2-7]{26}\.cs1([lu])$/s;
const ALPHABET = "abcdefghijklmnopqrstuvwxyz234567";
const ID_CHARACTERS = 26;
const OVERHEAD_BYTES = 1 + 1 + ID_CHARACTERS + 1 + 4;

/** The smallest limit in common use, eCryptfs's; ext4, XFS, btrfs, APFS and NTFS allow 255. */
const MAX_NAME_BYTES = 143;

/** Random bytes fetched ahead: asking for many costs as much as asking for a few. */
const pool = new Uint8Array(ID_CHARACTERS * 64);
let used = pool.length;

/** 130 random bits in 26 characters: from the pool, or from a process that brings its own chance. */
export function randomId(random?: ProcessHooks["random"]): string {
  if (random !== undefined) {
    const own = new Uint8Array(ID_CHARACTERS);
    random(own);
    return spelled(own);
  }
  if (used === pool.length) {
    crypto.getRandomValues(pool);
    used = 0;
  }
  used += ID_CHARACTERS;
  return spelled(pool.subarray(used - ID_CHARACTERS, used));
}

function spelled(bytes: Uint8Array): string {
  let id = "";
  for (const byte of bytes) id += ALPHABET[byte & 31];
  return id;
}

/** The longest beginning of `name` that takes at most `limit` bytes of UTF-8 and splits no character. */
export function shortenName(name: string, limit: number): string {
  if (name.length * 3 <= limit) return name;
  let bytes = 0;
  let end = 0;
  for (const character of name) {
    const code = character.codePointAt(0) ?? 0;
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    if (bytes > limit) break;
    end += character.length;
  }
  return name.slice(0, end);
}

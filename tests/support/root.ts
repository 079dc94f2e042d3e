import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import process from "node:process";

/** A test's way to say that it did not run: the reason is printed on every runtime. */
export interface Skippable {
  skip(reason?: string): void;
}

/** Skips with a printed reason. */
export function skip(t: Skippable, reason: string): void {
  console.log(`skipped: ${reason}`);
  t.skip(reason);
}

/** Runs a command of the system; answers whether it went well. */
export function command(name: string, args: readonly string[]): boolean {
  return spawnSync(name, [...args], { stdio: "ignore" }).status === 0;
}

/** Mounts something for the time of a test. Answers false, having skipped, where that is not allowed. */
export async function withMount(
  t: Skippable,
  args: readonly string[],
  mountPoint: string,
  use: () => void | Promise<void>,
): Promise<void> {
  if (process.getuid?.() !== 0) return skip(t, "mounting needs root");
  if (!existsSync(mountPoint)) mkdirSync(mountPoint);
  if (!command("mount", [...args, mountPoint])) return skip(t, "mounting is not allowed here");
  try {
    await use();
  } finally {
    if (!command("umount", [mountPoint])) command("umount", ["-l", mountPoint]);
  }
}

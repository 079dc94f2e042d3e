/** Standard output, whose reader may go away. */

import process from "node:process";

/** Prints lines; answers the exit status 0. */
export async function say(text: string): Promise<number> {
  try {
    await new Promise<void>((resolve, reject) => {
      process.stdout.write(`${text}\n`, (error) => error ? reject(error) : resolve());
    });
  } catch (error) {
    endWithoutOutput(error as { code?: string });
  }
  return 0;
}

/** For the runtimes that tell it as an event. */
export function watchOutput(): void {
  process.stdout.on("error", endWithoutOutput);
}

/** A reader that has gone (`| head`), or a full disk: one line, and what was published stays. */
function endWithoutOutput({ code, message }: { code?: string; message?: string }): void {
  process.stderr.write(
    `crashsafe: cannot write to standard output: ${code ?? message ?? "failed"}\n`,
  );
  process.exit(1);
}

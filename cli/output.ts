/** Standard output, whose reader may go away. */

import process from "node:process";

/** Prints lines; answers the exit status 0. A reader that has gone (`| head`) is no failure. */
export async function say(text: string): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    process.stdout.once("error", reject);
    process.stdout.write(`${text}\n`, (error) => {
      process.stdout.off("error", reject);
      if (error) reject(error);
      else resolve();
    });
  }).catch((error: { code?: string }) => {
    if (error.code !== "EPIPE") throw error;
    process.stdout.on("error", () => {});
  });
  return 0;
}

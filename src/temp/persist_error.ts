import { type ErrorDetails, PublishError } from "../base/errors.ts";

/**
 * A handle could not be committed. Nothing was published; the file is still there, still registered, and the handle is usable: try again
 * elsewhere, take it, or dispose of it.
 *
 * @typeParam H The kind of the handle.
 *
 * @example Try another place
 * ```ts
 * import { createTempFileSync, PersistError } from "@crashsafe/fs";
 * import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
 *
 * const dir = mkdtempSync("example-");
 * mkdirSync(`${dir}/taken`);
 * const file = createTempFileSync(dir);
 * try {
 *   file.persistSync(`${dir}/taken`); // it is a directory
 * } catch (error) {
 *   if (!(error instanceof PersistError)) throw error;
 *   error.handle.persistSync(`${dir}/free`);
 * }
 * rmSync(dir, { recursive: true });
 * ```
 */
export class PersistError<H = unknown> extends PublishError {
  /** The class, for logs. */
  override readonly name: string = "PersistError";
  /** The handle that could not be committed. */
  readonly handle: H;

  /** Made by this package; exported for `instanceof`. */
  constructor(message: string, details: ErrorDetails, handle: H) {
    super(message, details);
    this.handle = handle;
  }
}

/** What the failure of a commit becomes: with the handle in it when nothing was published. */
export function withHandle(cause: unknown, handle: object): unknown {
  if (!(cause instanceof PublishError) || cause instanceof PersistError) return cause;
  const { code, operation, path, dest } = cause;
  return new PersistError(
    `${cause.message}; the handle can still be used`,
    { code, operation, path, dest, cause: cause.cause },
    handle,
  );
}

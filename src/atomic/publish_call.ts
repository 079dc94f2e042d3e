/** One publish, run to its end by the driver of its colour. */

import type { FsAdapter } from "../base/fs_adapter.ts";
import { StepFs } from "../base/step_fs.ts";
import { runAsync, runSync } from "../base/steps.ts";
import { requireCapabilities } from "./options.ts";
import { publish, type PublishJob } from "./publish.ts";
import type { Receipt } from "./receipt.ts";

export function publishSync(adapter: FsAdapter, job: PublishJob): Receipt {
  requireCapabilities(adapter, job.target, job.options);
  return runSync(publish(new StepFs(adapter, "sync"), job));
}

export async function publishAsync(adapter: FsAdapter, job: PublishJob): Promise<Receipt> {
  let failure: unknown;
  try {
    requireCapabilities(adapter, job.target, job.options);
    return await runAsync(publish(new StepFs(adapter, "async"), job));
  } catch (cause) {
    failure = cause;
    throw cause;
  } finally {
    job.source.release?.(failure);
  }
}

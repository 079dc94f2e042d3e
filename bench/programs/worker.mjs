// One runtime that stays warm from one job to the next: worker.mjs MODULE answers each line of its standard input (a job, as
// JSON) with a line of its own, until the input ends. { error } is the answer when a job fails.

import process from "node:process";
import { createInterface } from "node:readline";
import { findSampler } from "../lib/event_loop_delay.mjs";
import { lockers } from "../contenders/lockers.mjs";
import { allContenders } from "../contenders/all.mjs";
import { grow, prepareToGrow } from "./grow_job.mjs";
import { idleJob } from "./idle_job.mjs";
import { lockJob } from "./lock_job.mjs";
import { tempJob } from "./temp_job.mjs";
import { recoverJob } from "./recover_job.mjs";
import { replaceJob, warm } from "./replace_job.mjs";

const [module] = process.argv.slice(2);
const contenders = new Map((await allContenders(module)).map((one) => [one.name, one]));
const locks = new Map((await lockers(module)).map((one) => [one.name, one]));
const sampler = await findSampler();

const JOBS = {
  list: () => ({
    sampler: sampler.name,
    contenders: [...contenders.values()].map(({ name, form, replace, replaceAll }) => ({
      name,
      form,
      one: replace !== undefined,
      all: replaceAll !== undefined,
    })),
    lockers: [...locks.values()].map(({ name, form }) => ({ name, form })),
  }),
  warm: (job) => warm(contenders.get(job.name), job),
  replace: (job) => replaceJob(contenders.get(job.name), job, sampler),
  lock: (job) => lockJob(locks.get(job.name), job),
  idle: (job) => ({ times: idleJob(job.names.map((name) => contenders.get(name)), job) }),
  recover: (job) => recoverJob(module, job),
  temp: (job) => tempJob(module, job),
  prepareToGrow: (job) => prepareToGrow(contenders.get(job.name), job),
  grow: (job) => grow(contenders.get(job.name), job),
};

for await (const line of createInterface({ input: process.stdin })) {
  const job = JSON.parse(line);
  try {
    console.log(JSON.stringify(await JOBS[job.do](job) ?? {}));
  } catch (error) {
    console.log(JSON.stringify({ error: String(error?.stack ?? error) }));
  }
}
// Some contenders leave timers behind.
process.exit(0);

import assert from "node:assert/strict";
import process from "node:process";
import {
  type CrashScenario,
  explore,
  type ExploreOptions,
  type ExploreReport,
  type ScheduleOptions,
  type ScheduleReport,
  schedules,
  type ScheduleScenario,
} from "@crashsafe/fs/testing";

/** Whether to look at everything (`npm run test:crash`) or at a part. */
export const exhaustive: boolean = process.env["CRASHSAFE_EXHAUSTIVE"] === "1";

const totals = {
  crashes: 0,
  trees: 0,
  recoveries: 0,
  faults: 0,
  states: 0,
  schedules: 0,
  violations: 0,
  bounded: 0,
};

// One line for the whole process, in a form that the script adds up.
if (exhaustive) process.on("exit", () => console.log(`explored ${JSON.stringify(totals)}`));

/** Explores and counts. */
export async function explored(
  scenario: CrashScenario,
  options?: ExploreOptions,
): Promise<ExploreReport> {
  const report = await explore(scenario, options);
  totals.crashes += report.kills + report.powerCuts;
  totals.trees += report.images;
  totals.recoveries += report.recoveries;
  totals.faults += report.faults;
  totals.violations += report.violations.length;
  totals.bounded += report.truncated;
  return report;
}

/** Interleaves and counts. */
export async function scheduled(
  scenario: ScheduleScenario,
  options?: ScheduleOptions,
): Promise<ScheduleReport> {
  const report = await schedules(scenario, options);
  totals.states += report.states;
  totals.schedules += report.schedules;
  totals.trees += report.images;
  totals.recoveries += report.recoveries;
  totals.violations += report.violations.length;
  if (!report.complete) totals.bounded++;
  return report;
}

/** Fails with the stories. */
export function holds({ violations }: ExploreReport | ScheduleReport): void {
  assert.equal(violations.map(({ story }) => story).join("\n\n"), "");
}

/** Fails unless the invariant is broken; answers the story. */
export function breaks({ violations }: ExploreReport | ScheduleReport, invariant: string): string {
  const caught = violations.find(({ broken }) => broken.startsWith(invariant));
  const others = violations.map(({ broken }) => broken).join("; ");
  assert.ok(caught, `${invariant} was not found broken, but: ${others || "nothing"}`);
  return caught.story;
}

import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import {
  type AtomicWriteOptions,
  DurabilityUnknownError,
  PublishError,
  systemAdapter,
} from "@crashsafe/fs";
import {
  FaultFs,
  type FaultRule,
  type OperationKind,
  POSSIBLE_ERRNOS,
} from "@crashsafe/fs/testing";
import { terminals } from "../support/terminals.ts";
import { withTempDir } from "../support/temp_dir.ts";

const OLD = "the old content";
const NEW = "the new content, which is longer";

interface Case {
  readonly name: string;
  readonly options: AtomicWriteOptions;
  /** Whether there is a file to replace. */
  readonly old: boolean;
  /** Below the test's directory. */
  readonly target: string;
}

const CASES: readonly Case[] = [
  { name: "a replace", options: { mtime: 1_000_000_000_000 }, old: true, target: "dir/file" },
  { name: "a new file in new directories", options: {}, old: false, target: "dir/a/b/file" },
  { name: "existing: fail", options: { existing: "fail" }, old: false, target: "dir/file" },
  { name: "durability none", options: { durability: "none" }, old: true, target: "dir/file" },
];

for (const terminal of terminals) {
  describe(`${terminal.name} with the Nth operation failing`, () => {
    for (const { name, options, old, target } of CASES) {
      test(`${name}: old or new, no temporary file, no handle, the right error`, () =>
        withTempDir(async (dir) => {
          const clean = await attempt([]);
          assert.equal(clean.error, undefined);
          let faults = 0;
          for (const [index, kind] of clean.kinds.entries()) {
            for (const errno of POSSIBLE_ERRNOS[kind] ?? []) {
              const nth = clean.kinds.slice(0, index + 1).filter((one) => one === kind).length;
              for (const times of ["once", "always"] as const) {
                await attempt([{ kinds: [kind], nth, errno, times }]);
                faults++;
              }
              if (kind === "rename" || kind === "link") {
                await attempt([{ kinds: [kind], nth, errno, afterwards: true }]);
                faults++;
              }
            }
          }
          assert.ok(faults > 20, `only ${faults} faults were tried`);

          async function attempt(
            rules: readonly FaultRule[],
          ): Promise<{ readonly kinds: readonly OperationKind[]; readonly error: unknown }> {
            rmSync(`${dir}/dir`, { recursive: true, force: true });
            mkdirSync(`${dir}/dir`);
            if (old) writeFileSync(`${dir}/${target}`, OLD, { mode: 0o644 });
            const adapter = new FaultFs(systemAdapter(), rules);
            let error: unknown;
            let leftover: string | undefined;
            try {
              const receipt = await terminal.run(
                `${dir}/${target}`,
                NEW,
                { ...options, adapter },
                dir,
              );
              leftover = receipt.leftover;
              assert.equal(receipt.bytes, NEW.length);
            } catch (cause) {
              error = cause;
            }
            const story = `${String(error)}\n${adapter.story()}`;
            assert.equal(adapter.openHandles, 0, `a handle was left open: ${story}`);
            const content = existsSync(`${dir}/${target}`)
              ? readFileSync(`${dir}/${target}`, "utf8")
              : undefined;
            const renamed = adapter.log.some(({ kind, outcome }) =>
              (kind === "rename" || kind === "link") && /^(?:ok|.*carried out)$/.test(outcome)
            );
            assert.equal(content, renamed ? NEW : old ? OLD : undefined, story);
            checkError(error, renamed, rules, story);
            leftover ??= error instanceof PublishError ? error.leftover : undefined;
            const temps = readdirSync(`${dir}/dir`, { recursive: true })
              .filter((path) => String(path).includes(".cs1"));
            assert.equal(temps.length, leftover === undefined ? 0 : 1, story);
            return { kinds: adapter.log.map((one) => one.kind), error };
          }
        }));
    }
  });
}

/** Each class of error exactly when it is true. */
function checkError(
  error: unknown,
  renamed: boolean,
  rules: readonly FaultRule[],
  story: string,
): void {
  if (error === undefined) {
    assert.ok(renamed, `success without a commit: ${story}`);
    return;
  }
  const { errno } = rules[0] ?? {};
  if (error instanceof DurabilityUnknownError) {
    assert.ok(error.committed === "unknown" || renamed, story);
  } else {
    assert.ok(error instanceof PublishError, story);
    assert.ok(!renamed, `"not published" after the commit: ${story}`);
    assert.match(error.message, /nothing was published/);
  }
  assert.equal(error.code, errno, story);
}

// The report as Markdown.

import { CONTENDERS, GUARANTEES, holds, inWords } from "../guarantees.mjs";
import { figure, quartiles, textTable } from "../lib/text_table.mjs";
import { parseTitle } from "./dot_plot.mjs";

const RUNTIMES = ["Deno", "Bun", "Node"];
/** The job whose delays stand in the short table. */
const DELAYS_OF = "100 at once";

/** The README's table: what a contender promises, and its cost on the disk as multiples of C's, on each runtime. */
export function shortTable({ replaces }) {
  const jobs = replaces.disk;
  const names = contendersOf(jobs);
  const head = ["", "power cut", "full disk", "temp name", "mode, owner", ...Object.keys(jobs)];
  head.push(`loop delay p99 (largest), ms, ${DELAYS_OF}`);
  return textTable(
    head,
    names.map((name) => [
      code(name),
      powerCut(name),
      inWords(name, "fullDisk"),
      inWords(name, "temp"),
      kept(name),
      ...Object.values(jobs).map((rows) => onEachRuntime(rows, name, ratioOf)),
      onEachRuntime(jobs[DELAYS_OF], name, delayOf),
    ]),
  );
}

/** docs/bench.md. */
export function page(report) {
  const { date, command, quick, repeats, machine, samplers } = report;
  const fileSystems = Object.entries(machine.fileSystems)
    .map(([name, type]) => name === type ? name : `${name}: ${type}`).join(", ");
  const runtimes = Object.entries(machine.runtimes).map(([name, version]) => `${name} ${version}`);
  const lines = [
    "# Benchmarks",
    "",
    `${date}, ${machine.kernel}, ${machine.cores} cores, ${fileSystems}; ${
      runtimes.join(", ")
    }; medians of ${repeats} repeats.`,
    "",
    ...(quick
      ? [
        "**From a `--quick` run: three repeats on a machine that may have been busy. It shows the form, not who is faster.**",
        "",
      ]
      : []),
    "```sh",
    command,
    "node bench/table.mjs FILE # this page, bench.svg, and the README's table",
    "node bench/verify.mjs     # checks the promises",
    "```",
    "",
    "![The same figures as charts](./bench.svg)",
    "",
  ];
  if (report.replaces) lines.push(...replacesPart(report), ...promisesPart(report));
  if (report.idle) lines.push(...idlePart(report));
  if (report.locks) lines.push(...locksPart(report));
  if (report.growth) lines.push(...growthPart(report));
  lines.push("## How it is measured", "", ...method(samplers), "");
  return lines.join("\n");
}

function replacesPart(report) {
  const lines = [
    "## Replacing a file of 4 KiB",
    "",
    "On the disk, as multiples of C's time for the same system calls one after the other, in the same repeat: Deno / Bun / Node.",
    "",
    ...shortTable(report),
    "",
  ];
  for (const [disk, jobs] of Object.entries(report.replaces)) {
    for (const [job, rows] of Object.entries(jobs)) {
      lines.push(
        `### ${disk}, ${job}`,
        "",
        ...textTable(
          ["", "µs a file", "quartiles", "to C", "quartiles", "loop delay p99, ms", "largest, ms"],
          Object.entries(rows).map(([title, { ratio, delay, ...own }]) => [
            title,
            figure(own.median),
            quartiles(own),
            figure(ratio?.median),
            ratio ? quartiles(ratio) : "",
            figure(delay?.p99Ms),
            figure(delay?.maxMs),
          ]),
        ),
        "",
      );
    }
  }
  return lines;
}

function promisesPart(report) {
  const names = contendersOf(report.replaces.disk);
  const lines = ["## What each promises", ""];
  for (const [guarantee, meaning] of Object.entries(GUARANTEES)) {
    lines.push(`### ${meaning}`, "");
    // Contenders of one package say the same.
    const groups = new Map();
    for (const name of names) {
      const key = `${inWords(name, guarantee)}: ${CONTENDERS[name][guarantee].why}`;
      groups.set(key, [...groups.get(key) ?? [], code(name)]);
    }
    for (const [says, who] of groups) lines.push(`- ${who.join("; ")}: ${says}`);
    lines.push("");
  }
  return lines;
}

function idlePart({ idle }) {
  const pauses = Object.keys(Object.values(idle)[0] ?? {});
  return [
    "## Where the time goes",
    "",
    "The same replace on tmpfs, µs, right after another one and after the processor was idle for some time, as it is during each fsync of a disk. Code that has left the caches costs several times what it costs in a hot loop, and there is more of ours than of the raw calls: this is the difference to them on the disk.",
    "",
    ...textTable(
      ["after a pause of", ...pauses.map((ms) => `${ms} ms`)],
      Object.entries(idle).map(([title, row]) => [title, ...pauses.map((ms) => figure(row[ms]))]),
    ),
    "",
    "Of many at once and of groups the main part is the file system's own: a replaced file has to be freed, which takes ext4 60 µs, and the runtimes of Node and Bun have four threads for fsyncs. Python with the same calls for a group of 100 (write all, fsync all in 4 threads, rename all, one fsync of the directory) took 0.39 of C's sequential time on this disk, with 16 threads 0.27, with one syncfs 0.34; for new files, where nothing has to be freed, 0.31, 0.25 and 0.13. (Of the files replaced only those of the syncfs were on the disk already; to free those is another 60 µs each.)",
    "",
  ];
}

function locksPart({ locks }) {
  const lines = ["## Acquiring and releasing a free lock", ""];
  for (const [disk, rows] of Object.entries(locks)) {
    lines.push(
      ...textTable(
        [disk, "µs", "quartiles", "to proper-lockfile"],
        Object.entries(rows).map(([title, row]) => [
          title,
          figure(row.median),
          quartiles(row),
          figure(row.ratio.median),
        ]),
      ),
      "",
    );
  }
  return lines;
}

function growthPart({ growth }) {
  const lines = [
    "## Growth",
    "",
    "Cost of one item, and in brackets the peak of resident memory in MiB. Bold: over 1.5 times the cost of the point before.",
    "",
  ];
  for (const [disk, axes] of Object.entries(growth)) {
    for (const [axis, { unit, curves }] of Object.entries(axes)) {
      const points = Object.values(curves)[0].map(({ at }) => at);
      lines.push(
        `### ${disk}, ${axis}`,
        "",
        ...textTable(
          [unit, ...points.map(String)],
          Object.entries(curves).map(([title, curve]) => [
            title,
            ...curve.map(({ perItem, peakMiB, worse }) => {
              const cost = worse ? `**${figure(perItem)}**` : figure(perItem);
              return peakMiB > 0 ? `${cost} (${figure(peakMiB)})` : cost;
            }),
          ]),
        ),
        "",
      );
    }
  }
  return lines;
}

function method(samplers) {
  const sampled = Object.entries(samplers).map(([runtime, name]) => `${runtime}: ${name}`);
  return [
    "- C and every contender take turns inside each repeat; a ratio is taken inside its repeat. Each job has a fresh directory right",
    "  below one that was marked with `chattr +T`, because ext4 slows down where files were just deleted.",
    "- A runtime is one process for the whole run, warmed up on tmpfs. Old files are made, and the journal settled, before the clock",
    "  starts; afterwards every file is compared with what was written.",
    `- Delay of the event loop: how much later than due a timer of a millisecond came (${
      sampled.join(", ")
    }); the 99th percentile is`,
    "  the median of the repeats, the largest that of all. A delay shorter than the timer's interval may be missed.",
    "- What this version of the package does not have yet has no row.",
  ];
}

function contendersOf(jobs) {
  return [
    ...new Set(
      Object.values(jobs).flatMap((rows) =>
        Object.keys(rows).map((title) => parseTitle(title).contender)
      ),
    ),
  ];
}

function powerCut(name) {
  if (!holds(name, "fileFsync")) return "nothing";
  return holds(name, "directoryFsync") ? "file, name" : "file";
}

function kept(name) {
  const both = ["mode", "owner"].filter((guarantee) => holds(name, guarantee));
  return both.length === 0 ? "no" : both.length === 2 ? "yes" : both[0];
}

/** "Deno / Bun / Node", or the one figure of C. */
function onEachRuntime(rows, name, cell) {
  if (rows[name]) return cell(rows[name]);
  const cells = RUNTIMES.map((runtime) => cell(rows[`${runtime}: ${name}`]));
  return cells.every((one) => one === "") ? "" : cells.map((one) => one || "–").join(" / ");
}

function ratioOf(row) {
  return figure(row?.ratio?.median);
}

function delayOf(row) {
  return row?.delay ? `${figure(row.delay.p99Ms)} (${figure(row.delay.maxMs)})` : "";
}

/** What can be called is code; what describes is not. */
function code(name) {
  return /^(C|raw)\b/.test(name) ? name : name.replace(/^[^,]+/, "`$&`");
}

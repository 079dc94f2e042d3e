// One job of the replaces as a dot plot: a row for each contender, a mark for each runtime, quartiles as a line through it. The rows stand
// under what they promise, because a figure without that compares nothing.

import { CONTENDERS } from "../guarantees.mjs";
import { legend, line, logScale, mark, RUNTIMES, text } from "./svg.mjs";

const LEFT = 270;
const RIGHT = 20;
const ROW = 20;

const GROUPS = [
  [
    "File and name survive a power cut",
    ({ fileFsync, directoryFsync }) => fileFsync.yes && directoryFsync.yes,
  ],
  [
    "The file survives, the name may not",
    ({ fileFsync, directoryFsync }) => fileFsync.yes && !directoryFsync.yes,
  ],
  ["Nothing is promised about a power cut", ({ fileFsync }) => !fileFsync.yes],
];

/** `rows`: { "Deno: atomicWrite": { ratio: { median, lowerQuartile, upperQuartile } } }. Undefined where nothing was compared to C. */
export function dotPlot(title, rows, width) {
  const contenders = byContender(rows);
  const ratios = [...contenders.values()].flatMap((marks) =>
    [...marks.values()].flatMap((ratio) => [ratio.lowerQuartile, ratio.upperQuartile])
  );
  if (ratios.length === 0) return undefined;
  const scale = logScale([...ratios, 1], LEFT, width - RIGHT, 2);
  const groups = GROUPS.map(([heading, has]) => ({
    heading,
    names: [...contenders.keys()].filter((name) => has(CONTENDERS[name])),
  })).filter(({ names }) => names.length > 0);
  const lines = groups.reduce((sum, { names }) => sum + names.length + 1, 0);
  const height = 60 + lines * ROW + 50;
  const draw = (top) => {
    const first = top + 48;
    const last = first + lines * ROW;
    const svg = [
      text(16, top + 14, title, "title"),
      text(16, top + 33, "time for a file, as a multiple of C's for one after the other", "faint"),
      ...legend(width - 300, top + 33, RUNTIMES),
    ];
    for (const tick of scale.ticks) {
      svg.push(line(scale.at(tick), first, scale.at(tick), last, tick === 1 ? "base" : "rule"));
      svg.push(text(scale.at(tick), last + 16, tickName(tick), "faint middle"));
    }
    let y = first;
    for (const { heading, names } of groups) {
      svg.push(text(16, y + 14, heading, "heading"));
      for (const name of names) {
        y += ROW;
        svg.push(text(LEFT - 12, y + 14, name, "end"), ...row(contenders.get(name), scale, y + 10));
      }
      y += ROW;
    }
    return svg;
  };
  return { height, draw };
}

/** A little apart, so that equal figures stay visible. */
function row(marks, scale, y) {
  return [...marks].flatMap(([runtime, { median, lowerQuartile, upperQuartile }], index) => {
    const at = y + (index - (marks.size - 1) / 2) * 4;
    const id = runtime.toLowerCase();
    return [
      line(scale.at(lowerQuartile), at, scale.at(upperQuartile), at, `whisker ${id}-line`),
      mark(runtime, scale.at(median), at),
    ];
  });
}

/** Map(contender -> Map(runtime -> ratio)). */
function byContender(rows) {
  const contenders = new Map();
  for (const [title, { ratio }] of Object.entries(rows)) {
    if (ratio === undefined) continue;
    const { runtime, contender } = parseTitle(title);
    if (!contenders.has(contender)) contenders.set(contender, new Map());
    contenders.get(contender).set(runtime, ratio);
  }
  return contenders;
}

/** "Deno: atomicWrite" is a contender on a runtime; C is both. */
export function parseTitle(title) {
  const [, runtime, contender] = /^(Deno|Bun|Node): (.*)$/.exec(title) ?? [title, "C", title];
  return { runtime, contender };
}

function tickName(tick) {
  return tick >= 1 ? `${tick}×` : `1/${1 / tick}`;
}

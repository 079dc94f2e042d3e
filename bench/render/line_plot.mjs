// Growth curves, two panels for each axis: what one item costs, and the peak of resident memory. Solid lines are this package, dashed
// ones node:fs itself; a ring marks a point whose cost is flagged against the one before.

import { parseTitle } from "./dot_plot.mjs";
import { legend, line, logScale, mark, text } from "./svg.mjs";

const LEFT = 70;
const GAP = 60;
const HEIGHT = 190;

/** `axes`: { name: { unit, curves: { title: [{ at, perItem, peakMiB, worse }] } } }. */
export function linePlots(title, axes, width) {
  const panel = (width - LEFT - GAP - 20) / 2;
  const head = {
    height: 56,
    draw: (top) => [
      text(16, top + 14, title, "title"),
      text(
        16,
        top + 33,
        "solid: atomicWrite; dashed: node:fs promises; ring: over 1.5 times the point before",
        "faint",
      ),
      ...legend(width - 230, top + 33, ["Deno", "Bun", "Node"]),
    ],
  };
  const rows = Object.entries(axes).map(([name, { unit, curves }]) => ({
    height: HEIGHT + 60,
    draw: (top) => [
      ...plot(`${name}: ${unit}`, curves, "perItem", { x: LEFT, y: top, width: panel }),
      ...plot(`${name}: peak RSS, MiB`, curves, "peakMiB", {
        x: LEFT + panel + GAP,
        y: top,
        width: panel,
      }),
    ],
  }));
  return [head, ...rows];
}

function plot(title, curves, field, { x, y, width }) {
  const known = Object.entries(curves).map(([name, points]) => [
    name,
    points.filter((point) => point[field] > 0),
  ]).filter(([, points]) => points.length > 0);
  if (known.length === 0) return [text(x, y + 12, `${title}: not known here`, "faint")];
  const points = known.flatMap(([, points]) => points);
  const bottom = y + HEIGHT;
  const places = points.map(({ at }) => at);
  const across = logScale(places, x, x + width, Math.max(...places) > 100 ? 10 : 2);
  const up = logScale(
    points.map((point) => point[field]),
    bottom,
    y + 26,
    field === "peakMiB" ? 2 : 10,
  );
  const svg = [text(x, y + 12, title, "heading")];
  for (const tick of up.ticks) {
    svg.push(line(x, up.at(tick), x + width, up.at(tick), "rule"));
    svg.push(text(x - 6, up.at(tick) + 4, short(tick), "faint end"));
  }
  for (const tick of across.ticks) {
    svg.push(line(across.at(tick), bottom, across.at(tick), bottom + 4, "rule"));
    svg.push(text(across.at(tick), bottom + 17, short(tick), "faint middle"));
  }
  for (const [name, points] of known) {
    const { runtime, contender } = parseTitle(name);
    const marks = points.map((point) => [across.at(point.at), up.at(point[field]), point]);
    const path = marks.map(([px, py]) => `${px.toFixed(1)},${py.toFixed(1)}`).join(" ");
    const dashed = contender === "atomicWrite" ? "" : " dashed";
    svg.push(`<polyline points="${path}" class="line ${runtime.toLowerCase()}-line${dashed}" />`);
    for (const [px, py, point] of marks) {
      svg.push(mark(runtime, px, py, 3));
      if (field === "perItem" && point.worse) {
        svg.push(`<circle cx="${px.toFixed(1)}" cy="${py.toFixed(1)}" r="7" class="flag" />`);
      }
    }
  }
  return svg;
}

function short(value) {
  for (const [unit, size] of [["G", 1e9], ["M", 1e6], ["k", 1e3]]) {
    if (value >= size) return `${value / size}${unit}`;
  }
  return String(Number(value.toPrecision(3)));
}

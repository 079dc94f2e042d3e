// What every chart shares: the document, its colours in light and dark, axes, text, marks.

/** Colour and shape both tell the runtime: neither is enough for every eye. */
export const RUNTIMES = ["Deno", "Bun", "Node", "C"];

const LIGHT = {
  paper: "#ffffff",
  ink: "#1f2328",
  faint: "#6b737c",
  rule: "#d8dee4",
  flag: "#c62828",
  Deno: "#0969a8",
  Bun: "#b5296b",
  Node: "#2f7d32",
  C: "#57606a",
};
const DARK = {
  paper: "#0d1117",
  ink: "#e6edf3",
  faint: "#9aa4af",
  rule: "#30363d",
  flag: "#ff8a80",
  Deno: "#58b4f5",
  Bun: "#f283b6",
  Node: "#6fcf73",
  C: "#b1bac4",
};

/** Without var(): many programs that show an SVG do not know it, and would show black on black. */
function colours(palette) {
  return [
    `.paper { fill: ${palette.paper}; }`,
    `text { fill: ${palette.ink}; }`,
    `.faint { fill: ${palette.faint}; }`,
    `.rule { stroke: ${palette.rule}; }`,
    `.base { stroke: ${palette.faint}; }`,
    `.flag { stroke: ${palette.flag}; }`,
    ...RUNTIMES.flatMap((name) => [
      `.${name.toLowerCase()} { fill: ${palette[name]}; }`,
      `.${name.toLowerCase()}-line { stroke: ${palette[name]}; }`,
    ]),
  ].join("\n");
}

const STYLE = `
svg { font: 12px system-ui, sans-serif; }
.title { font-size: 15px; font-weight: 600; }
.heading { font-weight: 600; }
.end { text-anchor: end; }
.middle { text-anchor: middle; }
.base, .dashed { stroke-dasharray: 4 3; }
.line { fill: none; stroke-width: 1.6; }
.flag { fill: none; stroke-width: 2; }
.whisker { stroke-width: 1.5; opacity: 0.55; }
${colours(LIGHT)}
@media (prefers-color-scheme: dark) {
${colours(DARK)}
}`;

/** A whole document of blocks { height, draw(y) -> lines of SVG }, one below the other. */
export function svgDocument(title, width, blocks) {
  let y = 16;
  const body = [];
  for (const { height, draw } of blocks) {
    body.push(...draw(y));
    y += height;
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${y}" width="${width}" height="${y}" role="img">
  <title>${escape(title)}</title>
  <style>${STYLE}
  </style>
  <rect class="paper" width="${width}" height="${y}" />
${body.map((line) => `  ${line}`).join("\n")}
</svg>
`;
}

export function text(x, y, content, classes = "") {
  return `<text x="${round(x)}" y="${round(y)}" class="${classes}">${escape(content)}</text>`;
}

export function line(x1, y1, x2, y2, classes) {
  return `<line x1="${round(x1)}" y1="${round(y1)}" x2="${round(x2)}" y2="${
    round(y2)
  }" class="${classes}" />`;
}

/** A runtime's mark. */
export function mark(runtime, x, y, size = 4.5) {
  const id = runtime.toLowerCase();
  if (runtime === "Deno") {
    return `<circle cx="${round(x)}" cy="${round(y)}" r="${size}" class="${id}" />`;
  }
  const corners = {
    Bun: [[0, -1.2], [1.1, 0.9], [-1.1, 0.9]],
    Node: [[-0.9, -0.9], [0.9, -0.9], [0.9, 0.9], [-0.9, 0.9]],
    C: [[0, -1.2], [1.2, 0], [0, 1.2], [-1.2, 0]],
  }[runtime];
  const points = corners.map(([dx, dy]) => `${round(x + dx * size)},${round(y + dy * size)}`);
  return `<polygon points="${points.join(" ")}" class="${id}" />`;
}

/** The marks and what they mean, from x on. */
export function legend(x, y, runtimes) {
  return runtimes.flatMap((name, index) => [
    mark(name, x + index * 70, y - 4),
    text(x + index * 70 + 9, y, name),
  ]);
}

/** A logarithmic scale over all values: { at(value) -> position, ticks }. `base` is the step between ticks. */
export function logScale(values, from, to, base) {
  const power = (value) => Math.log(value) / Math.log(base);
  const low = Math.floor(power(Math.min(...values)) + 1e-9);
  const high = Math.max(low + 1, Math.ceil(power(Math.max(...values)) - 1e-9));
  const count = high - low;
  // Labels that do not run into each other.
  const every = Math.ceil(count / 8);
  const ticks = Array.from({ length: count + 1 }, (_, index) => low + index)
    .filter((exponent) => (exponent - low) % every === 0).map((exponent) => base ** exponent);
  return { at: (value) => from + (power(value) - low) / count * (to - from), ticks };
}

function round(value) {
  return Math.round(value * 10) / 10;
}

function escape(content) {
  return content.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}

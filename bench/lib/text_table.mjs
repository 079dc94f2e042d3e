// Tables, as they stand in a terminal and in Markdown.

/** The lines of a Markdown table whose columns line up; the first column is text, the others are figures. */
export function textTable(head, rows) {
  const widths = head.map((_, column) =>
    Math.max(3, ...[head, ...rows].map((row) => row[column].length))
  );
  const line = (cells) =>
    `| ${
      cells.map((cell, column) =>
        column === 0 ? cell.padEnd(widths[column]) : cell.padStart(widths[column])
      ).join(" | ")
    } |`;
  const rule = widths.map((width, column) =>
    column === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`
  );
  return [line(head), `| ${rule.join(" | ")} |`, ...rows.map(line)];
}

export function printTable(title, head, rows) {
  console.log(`\n${title}\n`);
  for (const line of textTable(head, rows)) console.log(line);
}

/** Three figures that matter, and nothing for what there is not. */
export function figure(value) {
  if (value === undefined || value === null || Number.isNaN(value)) return "";
  return value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : 2);
}

export function quartiles({ lowerQuartile, upperQuartile }) {
  return `${figure(lowerQuartile)} to ${figure(upperQuartile)}`;
}

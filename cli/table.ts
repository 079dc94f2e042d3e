/** Tables that people can read. */

/** Columns under their headings; those in `right` are numbers. */
export function table(
  headings: readonly string[],
  rows: readonly (readonly string[])[],
  right: readonly number[] = [],
): string {
  const all = [headings, ...rows];
  const widths = headings.map((_, column) =>
    Math.max(...all.map((row) => row[column]?.length ?? 0))
  );
  return all.map((row) =>
    row.map((cell, column) => {
      const width = widths[column] ?? 0;
      return right.includes(column) ? cell.padStart(width) : cell.padEnd(width);
    }).join("  ").trimEnd()
  ).join("\n");
}

/** `1.5 KiB`. */
export function sizeOf(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const power = bytes < 1 ? 0 : Math.min(Math.floor(Math.log2(bytes) / 10), units.length - 1);
  const value = bytes / 1024 ** power;
  return `${power === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[power]}`;
}

/** `3.2 h`. */
export function ageOf(ms: number): string {
  const units: readonly (readonly [size: number, unit: string])[] = [
    [86_400_000, "d"],
    [3_600_000, "h"],
    [60_000, "min"],
  ];
  const [size, unit] = units.find(([one]) => ms >= one) ?? [1000, "s"];
  return `${(ms / size).toFixed(ms / size >= 100 ? 0 : 1)} ${unit}`;
}

/** A name as it is, or as a JSON string where it could do something to a terminal. */
export function quoted(name: string): string {
  // deno-lint-ignore no-control-regex
  return /[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069"\\]/.test(name)
    ? JSON.stringify(name)
    : name;
}

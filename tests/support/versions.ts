/** The content of version `n` of a file: between 20 bytes and 64 KiB, and whole only if all of it is there. */
export function version(file: string, n: number): string {
  const line = `${file} ${n}\n`;
  return line.repeat(1 + ((n * 7919) % 65_536) / line.length) + "end\n";
}

/** Which version a content is: 0 for none, undefined for anything that no writer has written. */
export function versionOf(file: string, content: string | undefined): number | undefined {
  if (content === undefined) return 0;
  const n = Number(content.slice(0, content.indexOf("\n")).slice(file.length + 1));
  return content === version(file, n) ? n : undefined;
}

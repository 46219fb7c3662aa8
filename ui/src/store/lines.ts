/** A log line; its number counts up without gaps, so a gap is lines that came too fast to be shown. */
type Line = { sequence: number };

const KEPT = 1000;

/** Oldest first; lines that are known are left out. */
export function addLines<L extends Line>(lines: L[], more: L[]): L[] {
  const last = lines.at(-1)?.sequence ?? -1;
  const fresh = more.filter((line) => line.sequence > last);
  return fresh.length === 0 ? lines : [...lines, ...fresh].slice(-KEPT);
}

export type Row<L extends Line> = { key: number; line: L; skipped: number };

/** `skipped` counts the lines before one that came too fast to be shown. */
export const rowsOf = <L extends Line>(lines: L[]): Row<L>[] =>
  lines.map((line, index) => {
    const before = lines[index - 1];
    return { key: line.sequence, line, skipped: before ? line.sequence - before.sequence - 1 : 0 };
  });

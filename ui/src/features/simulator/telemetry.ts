import type { ConsoleLine, JsonValue } from "../../ipc";
import { isObject } from "../../lib/json-patch";
import { parseText } from "../../lib/json-text";

/** A number that a device sends again and again; `path` is dotted. */
export type Series = { path: string; points: { at: number; value: number }[] };

const MOST_SERIES = 12;

function numbers(value: JsonValue, path: string, found: Map<string, number>): void {
  if (typeof value === "number") found.set(path, value);
  else if (isObject(value)) for (const [key, inner] of Object.entries(value)) numbers(inner, path === "" ? key : `${path}.${key}`, found);
}

/** Whether the line is of a telemetry message, whose body is its detail. */
export const isTelemetry = (line: ConsoleLine): boolean => line.kind === "sent" && line.detail !== null && /^telemetry/i.test(line.text);

/** The numbers in what was sent, oldest first, in the order in which they first appeared. */
export function seriesOf(lines: ConsoleLine[]): Series[] {
  const series = new Map<string, Series>();
  for (const line of lines) {
    if (!isTelemetry(line)) continue;
    const parsed = parseText(line.detail ?? "");
    if (!parsed.ok) continue;
    const found = new Map<string, number>();
    numbers(parsed.value, "", found);
    const at = new Date(line.at).getTime();
    for (const [path, value] of found) {
      const known = series.get(path);
      if (known) known.points.push({ at, value });
      else if (series.size < MOST_SERIES) series.set(path, { path, points: [{ at, value }] });
    }
  }
  return [...series.values()];
}

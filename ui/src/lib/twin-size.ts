import type { JsonValue } from "../ipc";

/** Bytes as the hub counts them: names and texts in UTF-8 without control characters, 8 a number, 4 a boolean. */
export function twinSize(value: JsonValue): number {
  if (typeof value === "string") return textSize(value);
  if (typeof value === "number") return 8;
  if (typeof value === "boolean") return 4;
  if (value === null) return 0;
  if (Array.isArray(value)) return value.reduce((sum: number, item) => sum + twinSize(item), 0);
  return Object.entries(value).reduce((sum, [key, inner]) => sum + textSize(key) + twinSize(inner), 0);
}

// eslint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/g;
const encoder = new TextEncoder();
const textSize = (text: string): number => encoder.encode(text.replace(CONTROL, "")).length;

/** From this part of its limit on a section is called nearly full. */
export const NEARLY = 0.9;

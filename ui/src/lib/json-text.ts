import type { JsonValue } from "../ipc";

export const METHOD_PAYLOAD_LIMIT = 128 * 1024;
export const TAGS_LIMIT = 8 * 1024;
export const PROPERTIES_LIMIT = 32 * 1024;

export type ParsedText = { ok: true; value: JsonValue } | { ok: false; message: string };

export const pretty = (value: JsonValue): string => JSON.stringify(value, null, 2);

export function parseText(text: string): ParsedText {
  try {
    return { ok: true, value: JSON.parse(text) as JsonValue };
  } catch (thrown) {
    // Our own sentence around it says already that this is JSON.
    const message = thrown instanceof Error ? thrown.message.replace(/^JSON Parse error: /, "") : String(thrown);
    return { ok: false, message };
  }
}

/** Pretty when it is JSON, as it came when it is not. */
export function prettyText(text: string): string {
  const parsed = parseText(text);
  return parsed.ok ? pretty(parsed.value) : text;
}

export const byteLength = (text: string): number => new TextEncoder().encode(text).length;

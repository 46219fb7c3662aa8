import { create } from "zustand";
import type { JsonValue, TwinSection, TwinView } from "../../ipc";
import { deepEqual, diffToPatch, firstNull, isObject } from "../../lib/json-patch";
import { parseText, PROPERTIES_LIMIT, pretty, TAGS_LIMIT } from "../../lib/json-text";
import { twinSize } from "../../lib/twin-size";

/** What a person has typed, and what it was typed over. */
export type Draft = { text: string; base: JsonValue; etag: string };

export type Reviewed =
  | { kind: "unchanged"; size: number }
  | { kind: "invalid"; reason: "syntax" | "notObject" | "null"; detail: string }
  | { kind: "tooLarge"; size: number }
  | { kind: "patch"; patch: JsonValue; size: number };

export const limitOf = (section: TwinSection): number => (section === "tags" ? TAGS_LIMIT : PROPERTIES_LIMIT);

/** The exact patch that the draft stands for, and the section's size with it. */
export function review(draft: Draft, limit: number): Reviewed {
  const parsed = parseText(draft.text);
  if (!parsed.ok) return { kind: "invalid", reason: "syntax", detail: parsed.message };
  if (!isObject(parsed.value)) return { kind: "invalid", reason: "notObject", detail: "" };
  const nullAt = firstNull(parsed.value);
  if (nullAt !== null) return { kind: "invalid", reason: "null", detail: nullAt };
  const size = twinSize(parsed.value);
  const patch = diffToPatch(draft.base, parsed.value);
  if (patch === null) return { kind: "unchanged", size };
  return size > limit ? { kind: "tooLarge", size } : { kind: "patch", patch, size };
}

/** True when someone else changed what this draft was typed over. */
export const isBehind = (draft: Draft, newest: JsonValue): boolean => !deepEqual(draft.base, newest);

/** An etag that moved without touching this section, e.g. by another section, is no conflict. */
export const etagFor = (draft: Draft, newest: JsonValue, etag: string): string => (isBehind(draft, newest) ? draft.etag : etag);

// Kept outside the screen, so that neither an event nor another tab takes away what was typed.
type Drafts = { drafts: Record<string, Draft> };
export const useDrafts = create<Drafts>(() => ({ drafts: {} }));

export const draftKey = (hubId: string, deviceId: string, section: TwinSection): string => `${hubId}\n${deviceId}\n${section}`;

export function setDraft(key: string, draft: Draft | null): void {
  useDrafts.setState(({ drafts }) => {
    const { [key]: _, ...rest } = drafts;
    return { drafts: draft ? { ...rest, [key]: draft } : rest };
  });
}

export function typed(key: string, text: string, twin: TwinView, section: TwinSection): void {
  const before = useDrafts.getState().drafts[key];
  if (before) setDraft(key, { ...before, text });
  else if (text !== pretty(twin[section])) setDraft(key, { text, base: twin[section], etag: twin.etag });
}

import { create } from "zustand";
import type { JsonValue, TwinSection, TwinView } from "../../ipc";
import { applyPatch, deepEqual, diffToPatch, firstNull, isObject } from "../../lib/json-patch";
import { parseText, pretty } from "../../lib/json-text";

/** What a person has typed, and what it was typed over. */
export type Draft = { text: string; base: JsonValue; etag: string };

export type Reviewed =
  | { kind: "unchanged" }
  | { kind: "invalid"; reason: "syntax" | "notObject" | "null"; detail: string }
  | { kind: "patch"; patch: JsonValue };

/** The exact patch that the draft stands for. */
export function review(draft: Draft): Reviewed {
  const parsed = parseText(draft.text);
  if (!parsed.ok) return { kind: "invalid", reason: "syntax", detail: parsed.message };
  if (!isObject(parsed.value)) return { kind: "invalid", reason: "notObject", detail: "" };
  const nullAt = firstNull(parsed.value);
  if (nullAt !== null) return { kind: "invalid", reason: "null", detail: nullAt };
  const patch = diffToPatch(draft.base, parsed.value);
  return patch === null ? { kind: "unchanged" } : { kind: "patch", patch };
}

/** True when someone else changed what this draft was typed over. */
export const isBehind = (draft: Draft, newest: JsonValue): boolean => !deepEqual(draft.base, newest);

/**
 * The person's own changes, put on top of the newest value. A text that is not JSON yet is kept as
 * it is; its changes count from the newest value from then on.
 */
export function rebase(draft: Draft, newest: JsonValue, etag: string): Draft {
  const reviewed = review(draft);
  if (reviewed.kind === "invalid") return { ...draft, base: newest, etag };
  const value = reviewed.kind === "patch" ? applyPatch(newest, reviewed.patch) : newest;
  return { text: pretty(value), base: newest, etag };
}

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

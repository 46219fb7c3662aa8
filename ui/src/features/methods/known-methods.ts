import { parseText } from "../../lib/json-text";
import { knownMethods } from "../../lib/known-methods";

export type Draft = { name: string; payload: string; response: string; connect: string };

export const emptyDraft: Draft = { name: "", payload: "", response: "30", connect: "0" };

/** Picking a known name brings its payload along, unless the person has written one. */
export function chooseName(draft: Draft, name: string): Draft {
  const known = knownMethods[name];
  const untouched = draft.payload.trim() === "" || Object.values(knownMethods).some(({ payload }) => payload === draft.payload);
  return known && untouched ? { ...draft, name, payload: known.payload, response: known.response } : { ...draft, name };
}

export const responseWrong = (text: string): boolean => !inRange(text, 5, 300);
export const connectWrong = (text: string): boolean => !inRange(text, 0, 300);

/** True when a call can be made of it, if the hub takes its size. */
export const canInvoke = (draft: Draft): boolean =>
  draft.name.trim() !== "" && (draft.payload.trim() === "" || parseText(draft.payload).ok) && !responseWrong(draft.response) && !connectWrong(draft.connect);

function inRange(text: string, from: number, to: number): boolean {
  const value = Number(text);
  return text.trim() !== "" && Number.isInteger(value) && value >= from && value <= to;
}

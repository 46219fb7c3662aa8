import type { JsonValue } from "../ipc";
import { deepEqual, isObject, own } from "./json-patch";

type Maybe = JsonValue | undefined;

/** A leaf on which base, theirs and mine do not agree; `undefined` is: not there. */
export type Difference = {
  path: string[];
  base: Maybe;
  theirs: Maybe;
  mine: Maybe;
  /** Who changed it: one of the two, both to the same, or both each in another way. */
  by: "theirs" | "mine" | "both" | "collision";
};

export type Side = "theirs" | "mine";

/** What differs between a value, what somebody else made of it, and what I made of it. */
export function compare(base: Maybe, theirs: Maybe, mine: Maybe, path: string[] = []): Difference[] {
  if (isObject(theirs) && isObject(mine) && (isObject(base) || base === undefined)) {
    const keys = new Set([...Object.keys(base ?? {}), ...Object.keys(theirs), ...Object.keys(mine)]);
    const inside = [...keys].flatMap((key) => compare(own(base, key), own(theirs, key), own(mine, key), [...path, key]));
    // An object that is new and empty on both sides has no leaf that would tell of it.
    if (base !== undefined || inside.length > 0) return inside;
  }
  const sides = { path, base, theirs, mine };
  if (deepEqual(theirs, mine)) return deepEqual(base, mine) ? [] : [{ ...sides, by: "both" }];
  if (deepEqual(base, mine)) return [{ ...sides, by: "theirs" }];
  if (deepEqual(base, theirs)) return [{ ...sides, by: "mine" }];
  return [{ ...sides, by: "collision" }];
}

export const collisions = (differences: Difference[]): Difference[] => differences.filter(({ by }) => by === "collision");

/** Names a choice. It holds the values too: when theirs changes again, the question is a new one. */
export const choiceKey = ({ path, theirs, mine }: Difference): string => JSON.stringify([path, theirs ?? null, mine ?? null]);

export type Choices = Record<string, Side>;

/** Theirs with my changes on top, each collision as chosen; null while one is not. */
export function merge(theirs: JsonValue, differences: Difference[], choices: Choices): JsonValue | null {
  let merged = theirs;
  for (const difference of differences) {
    const side = difference.by === "collision" ? choices[choiceKey(difference)] : difference.by;
    if (side === undefined) return null;
    if (side === "mine") merged = put(merged, difference.path, difference.mine);
  }
  return merged;
}

function put(value: JsonValue, [key, ...rest]: string[], wanted: Maybe): JsonValue {
  if (key === undefined) return wanted ?? {};
  const entries = new Map(Object.entries(isObject(value) ? value : {}));
  const next = rest.length === 0 ? wanted : put(entries.get(key) ?? {}, rest, wanted);
  if (next === undefined) entries.delete(key);
  else entries.set(key, next);
  return Object.fromEntries(entries);
}

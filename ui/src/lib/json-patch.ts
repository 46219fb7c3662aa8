import type { JsonValue } from "../ipc";

type JsonObject = { [key: string]: JsonValue };

export const isObject = (value: JsonValue | undefined): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** The object's own value: what every object inherits, such as `constructor`, is nobody's property. */
export const own = (object: JsonValue | undefined, key: string): JsonValue | undefined =>
  isObject(object) && Object.hasOwn(object, key) ? object[key] : undefined;

export function deepEqual(a: JsonValue | undefined, b: JsonValue | undefined): boolean {
  if (a === b) return true;
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((item, index) => deepEqual(item, b[index]));
  }
  if (isObject(a) && isObject(b)) {
    const keys = Object.keys(a);
    return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && deepEqual(a[key], b[key]));
  }
  return false;
}

/**
 * The smallest JSON merge patch (RFC 7396) from `before` to `after`; null when nothing differs.
 * Arrays are replaced whole, as the hub does. A new value of null cannot be told from a deletion
 * in a merge patch; callers refuse such text before they come here (see `firstNull`).
 */
export function diffToPatch(before: JsonValue, after: JsonValue): JsonObject | null {
  const from = isObject(before) ? before : {};
  const to = isObject(after) ? after : {};
  const gone = Object.keys(from).filter((key) => !Object.hasOwn(to, key));
  // Built from entries: assigning to "__proto__" would set no property.
  const patch: [string, JsonValue][] = gone.map((key) => [key, null]);
  for (const [key, value] of Object.entries(to)) {
    const old = own(from, key);
    if (deepEqual(old, value)) continue;
    const inner = isObject(old) && isObject(value) ? diffToPatch(old, value) : value;
    if (inner !== null) patch.push([key, inner]);
  }
  return patch.length > 0 ? Object.fromEntries(patch) : null;
}

/** RFC 7396. */
export function applyPatch(target: JsonValue, patch: JsonValue): JsonValue {
  if (!isObject(patch)) return patch;
  const result = new Map(Object.entries(isObject(target) ? target : {}));
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) result.delete(key);
    else result.set(key, applyPatch(result.get(key) ?? null, value));
  }
  return Object.fromEntries(result);
}

/** Dotted paths of the leaves that were added, removed or changed. */
export function changedPaths(before: JsonValue | undefined, after: JsonValue | undefined, prefix = ""): string[] {
  if (deepEqual(before, after)) return [];
  if (isObject(before) && isObject(after)) {
    const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])];
    return keys.flatMap((key) => changedPaths(own(before, key), own(after, key), prefix ? `${prefix}.${key}` : key));
  }
  return [prefix];
}

/** The dotted path of the first null, which a twin cannot hold: in a patch it means "remove". */
export function firstNull(value: JsonValue, prefix = ""): string | null {
  if (value === null) return prefix;
  if (!isObject(value)) return null;
  for (const [key, inner] of Object.entries(value)) {
    const found = firstNull(inner, prefix ? `${prefix}.${key}` : key);
    if (found !== null) return found;
  }
  return null;
}

/** Looks up a dotted path; keys themselves never hold dots on IoT Hub. */
export function valueAt(value: JsonValue | undefined, path: string): JsonValue | undefined {
  let current = value;
  for (const key of path === "" ? [] : path.split(".")) {
    current = own(current, key);
  }
  return current;
}

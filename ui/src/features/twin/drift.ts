import type { JsonValue } from "../../ipc";
import { deepEqual, isObject, own } from "../../lib/json-patch";

/** How a device answers to a desired property in IoT Plug and Play: `{value, ac, av, ad}`. */
type Acknowledgement = { value: JsonValue; code: number; version: number; description: string | null };

export type Drift = {
  path: string;
  desired: JsonValue;
  /** Undefined when the device has not reported it. */
  reported: JsonValue | undefined;
  /**
   * It is another value; the device is at it; it refused; it has answered to an older wish only; or
   * it says nothing of it, as devices do that only act on a property.
   */
  why: "different" | "pending" | "refused" | "behind" | "missing";
  code?: number;
  description?: string;
};

function acknowledgement(value: JsonValue | undefined): Acknowledgement | null {
  const [code, version, description] = [own(value, "ac"), own(value, "av"), own(value, "ad")];
  if (typeof code !== "number" || typeof version !== "number") return null;
  return { value: own(value, "value") ?? null, code, version, description: typeof description === "string" ? description : null };
}

/** In which version of desired the property was last written. */
function writtenIn(metadata: JsonValue | undefined): number {
  const version = own(metadata, "$lastUpdatedVersion");
  return typeof version === "number" ? version : 0;
}

/** Where the device does not report what is desired; what differs comes before what is merely not reported. */
export function drift(desired: JsonValue, reported: JsonValue, metadata: JsonValue): Drift[] {
  const found = inside(desired, reported, metadata, "");
  return [...found.filter(({ why }) => why !== "missing"), ...found.filter(({ why }) => why === "missing")];
}

function inside(desired: JsonValue, reported: JsonValue | undefined, metadata: JsonValue | undefined, prefix: string): Drift[] {
  if (!isObject(desired)) return [];
  return Object.entries(desired).flatMap(([key, wanted]): Drift[] => {
    // Marks a component of a Plug and Play device, and wishes for nothing.
    if (key === "__t") return [];
    const path = prefix === "" ? key : `${prefix}.${key}`;
    const said = own(reported, key);
    const ack = acknowledgement(said);
    if (ack) return answered(path, wanted, ack, writtenIn(own(metadata, key)));
    if (said === undefined) return [{ path, desired: wanted, reported: undefined, why: "missing" }];
    if (isObject(wanted) && isObject(said)) return inside(wanted, said, own(metadata, key), path);
    return deepEqual(wanted, said) ? [] : [{ path, desired: wanted, reported: said, why: "different" }];
  });
}

function answered(path: string, desired: JsonValue, ack: Acknowledgement, written: number): Drift[] {
  const same = deepEqual(desired, ack.value);
  const good = ack.code >= 200 && ack.code < 300;
  const why = ack.version < written ? (same ? null : "behind") : !good ? "refused" : ack.code === 202 ? "pending" : same ? null : "different";
  if (why === null) return [];
  return [{ path, desired, reported: ack.value, why, code: ack.code, ...(ack.description === null ? {} : { description: ack.description }) }];
}

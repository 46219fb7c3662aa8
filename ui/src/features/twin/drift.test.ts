import { describe, expect, test } from "vitest";
import type { JsonValue } from "../../ipc";
import { applyPatch } from "../../lib/json-patch";
import { someSections } from "../../lib/some-json";
import { drift } from "./drift";

const lines = (desired: JsonValue, reported: JsonValue, metadata: JsonValue = {}) => drift(desired, reported, metadata).map(({ path, why }) => `${path} ${why}`);

describe("plain properties", () => {
  test("drift where the device reports another value, leaf by leaf", () => {
    expect(lines({ interval: 30, led: { on: true, colour: "red" } }, { interval: 60, led: { on: true, colour: "blue" }, temperature: 21 })).toEqual([
      "interval different",
      "led.colour different",
    ]);
  });
  test("that are not reported come last, and keep their whole value", () => {
    expect(drift({ firmware: { version: "2" }, a: 1 }, { a: 2 }, {})).toEqual([
      { path: "a", desired: 1, reported: 2, why: "different" },
      { path: "firmware", desired: { version: "2" }, reported: undefined, why: "missing" },
    ]);
  });
  test("do not drift over the order of keys, and arrays count as a whole", () => {
    expect(lines({ a: { b: 1, c: 2 }, list: [1] }, { a: { c: 2, b: 1 }, list: [1, 2] })).toEqual(["list different"]);
  });
});

describe("properties of IoT Plug and Play", () => {
  const metadata = { target: { $lastUpdatedVersion: 5 } };
  const ack = (value: JsonValue, ac: number, av: number, ad?: string): JsonValue => ({ target: { value, ac, av, ...(ad ? { ad } : {}) } });
  test("agree when the device has taken the value", () => {
    expect(lines({ target: 20 }, ack(20, 200, 5), metadata)).toEqual([]);
  });
  test("drift while the device is at it, when it refused, and when it answered to an older wish", () => {
    expect(lines({ target: 20 }, ack(18, 202, 5), metadata)).toEqual(["target pending"]);
    expect(drift({ target: 99 }, ack(20, 400, 5, "too hot"), metadata)).toEqual([
      { path: "target", desired: 99, reported: 20, why: "refused", code: 400, description: "too hot" },
    ]);
    expect(lines({ target: 20 }, ack(18, 200, 4), metadata)).toEqual(["target behind"]);
    expect(lines({ target: 20 }, ack(18, 200, 5), metadata)).toEqual(["target different"]);
  });
  test("agree when an older answer named this very value", () => {
    expect(lines({ target: 20 }, ack(20, 203, 1), metadata)).toEqual([]);
  });
  test("are found in components, whose mark is no wish", () => {
    const desired = { room: { __t: "c", target: { min: 1, max: 2 } } };
    const reported = { room: { __t: "c", target: { value: { min: 1, max: 3 }, ac: 200, av: 2 } } };
    expect(lines(desired, reported, { room: { target: { $lastUpdatedVersion: 2 } } })).toEqual(["room.target different"]);
  });
  test("an object that only looks similar is plain", () => {
    expect(lines({ a: { value: 1, ac: "x" } }, { a: { value: 1, ac: "y" } })).toEqual(["a.ac different"]);
  });
});

test("whatever a device reports beside it: what it reports as desired does not drift", () => {
  for (const [desired = {}, reported = {}] of someSections(2000, 2)) {
    expect(drift(desired, applyPatch(reported, desired), {})).toEqual([]);
  }
});

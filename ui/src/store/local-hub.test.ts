import { expect, test } from "vitest";
import type { LocalHubCounters, ProtocolLine } from "../ipc";
import { rowsOf } from "./lines";
import { addReading, applyLines, rateOf, ratesOf } from "./local-hub";

const reading = (second: number, telemetry: number, methods = 0): LocalHubCounters => ({
  atMs: second * 1000,
  connections: 1,
  telemetry,
  cloudToDevice: 0,
  methods,
  serviceTwinWrites: 0,
  deviceTwinWrites: 0,
  requests: 0,
  refused: 0,
});
const line = (sequence: number): ProtocolLine => ({ sequence, at: "2026-11-21T10:00:00Z", kind: "sent", text: String(sequence) });

test("a rate is of the last five seconds and unknown until there are two readings", () => {
  expect(rateOf([], ["telemetry"])).toBeNull();
  expect(rateOf([reading(0, 7)], ["telemetry"])).toBeNull();
  expect(rateOf([reading(0, 0), reading(1, 900), reading(6, 950)], ["telemetry"])).toBe(10);
  expect(rateOf([reading(0, 0, 0), reading(2, 10, 4)], ["telemetry", "methods"])).toBe(7);
});

test("each interval has its own rate", () => {
  expect(ratesOf([reading(0, 0), reading(1, 5), reading(3, 5)], ["telemetry"])).toEqual([5, 0]);
});

test("a hub that started anew is not counted backwards, and old readings go", () => {
  expect(addReading([reading(1, 50)], reading(2, 0))).toEqual([reading(2, 0)]);
  expect(addReading([reading(2, 5)], reading(1, 5))).toEqual([reading(2, 5)]);
  let readings: LocalHubCounters[] = [];
  for (let second = 0; second < 70; second += 1) readings = addReading(readings, reading(second, second));
  expect(readings).toHaveLength(60);
});

test("lines of another client, and lines that are known, are left out", () => {
  const watched = { clientId: "d", lines: [line(0)] };
  expect(applyLines(watched, "e", [line(1)])).toBe(watched);
  expect(applyLines(null, "d", [line(0)])).toBeNull();
  expect(applyLines(watched, "d", [line(0), line(1)])?.lines).toEqual([line(0), line(1)]);
});

test("packets that came too fast to be shown are counted", () => {
  expect(rowsOf([line(3), line(4), line(9)]).map((row) => row.skipped)).toEqual([0, 0, 4]);
});

import { expect, test } from "vitest";
import type { TwinView } from "../ipc";
import { applyTwin, applyTwinRead } from "./twins";

const twin = (version: number, reported: TwinView["reported"]): TwinView => ({
  deviceId: "d1",
  etag: `"${version}"`,
  version,
  enabled: true,
  connected: true,
  lastActivityAt: null,
  authenticationType: "sas",
  tags: {},
  desired: {},
  reported,
  desiredVersion: 1,
  reportedVersion: version,
  desiredMetadata: {},
  reportedMetadata: {},
  tagsSize: 2,
  desiredSize: 2,
  reportedSize: 2,
});

test("a changed path moves to the front and is listed once", () => {
  let twins = applyTwin({}, twin(1, { a: 1, b: 1 }), ["reported.a"], 100);
  twins = applyTwin(twins, twin(2, { a: 1, b: 2 }), ["reported.b"], 200);
  twins = applyTwin(twins, twin(3, { a: 3, b: 2 }), ["reported.a"], 300);
  expect(twins.d1?.changes).toEqual([
    { path: "reported.a", at: 300 },
    { path: "reported.b", at: 200 },
  ]);
});
test("changes are found by comparing when the event names none", () => {
  let twins = applyTwin({}, twin(1, { a: 1 }), [], 100);
  twins = applyTwin(twins, twin(2, { a: 1, c: { d: 1 } }), [], 200);
  expect(twins.d1?.changes).toEqual([{ path: "reported.c", at: 200 }]);
});
test("a late answer does not undo a newer event", () => {
  const twins = applyTwin({}, twin(5, { a: 5 }), ["reported.a"], 100);
  expect(applyTwinRead(twins, twin(4, { a: 4 }), 200)).toBe(twins);
});

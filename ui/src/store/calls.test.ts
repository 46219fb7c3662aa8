import { expect, test } from "vitest";
import type { MethodCall } from "../ipc";
import { applyCall, applyCallList } from "./calls";

const call = (id: number, durationMs: number | null): MethodCall => ({
  id,
  deviceId: "d1",
  methodName: "rebootDevice",
  payloadText: "",
  responseTimeoutSeconds: 30,
  connectTimeoutSeconds: 0,
  startedAt: "2026-11-21T10:00:00Z",
  durationMs,
  status: durationMs === null ? null : 200,
  responseText: null,
  responseBytes: null,
  error: null,
});

test("calls are kept newest first and once each", () => {
  const calls = applyCallList({}, [call(1, 5), call(3, null), call(2, 7), call(3, 9)]);
  expect(calls.d1?.map(({ id, durationMs }) => [id, durationMs])).toEqual([
    [3, 9],
    [2, 7],
    [1, 5],
  ]);
});
test("a finished call does not go back to running", () => {
  const calls = applyCall({}, call(1, 40));
  expect(applyCall(calls, call(1, null))).toBe(calls);
});

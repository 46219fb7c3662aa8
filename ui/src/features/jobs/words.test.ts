import { describe, expect, test } from "vitest";
import type { Job, JobWork } from "../../ipc";
import "../../lib/i18n";
import { deedText, estimateText, progressText, reviewText, targetText } from "./words";

const lock: JobWork = { kind: "invokeMethod", methodName: "lockDoor", payload: null, responseTimeoutSeconds: 30, connectTimeoutSeconds: 0 };
const at = (text: string) => Date.parse(text);
const now = at("2026-11-21T10:00:30Z");

describe("the sentence before a job", () => {
  test("says what, on how many, when, and until when", () => {
    expect(reviewText(lock, 240, at("2026-11-21T14:30:00Z"), 60, now, "UTC")).toBe("Invoke lockDoor on 240 devices at 14:30, finish by 15:30");
    expect(reviewText(lock, 1, null, 60, now, "UTC")).toBe("Invoke lockDoor on 1 device now, finish by 11:01");
  });
  test("names the day where it is not today", () => {
    expect(reviewText(lock, 2, at("2026-11-21T23:30:00Z"), 60, now, "UTC")).toBe("Invoke lockDoor on 2 devices at 23:30, finish by Sun, Nov 22, 00:30");
  });
  test("counts time, not what clocks show, over a night that is an hour longer", () => {
    const evening = at("2026-10-24T21:30:00Z");
    expect(reviewText(lock, 2, evening, 240, evening - 1, "Europe/Berlin")).toContain("at 23:30, finish by Sun, Oct 25, 02:30");
  });
  test.each<[JobWork, string]>([
    [{ kind: "updateTwin", desired: { building: "43", floor: 3 }, tags: { site: "x" } }, "Change desired.building, desired.floor, and tags.site of 3 devices"],
    [{ kind: "firmwareUpdate", package: { kind: "package", id: "p" }, version: null }, "Update the firmware of 3 devices"],
    [{ kind: "firmwareUpdate", package: { kind: "package", id: "p" }, version: "2.0" }, "Update the firmware of 3 devices to 2.0"],
    [{ kind: "reboot" }, "Reboot 3 devices"],
    [{ kind: "factoryReset" }, "Reset 3 devices to factory settings"],
    [{ kind: "configurationUpdate", name: "interval", value: 60 }, "Set interval to 60 on 3 devices"],
    [{ kind: "readProperties", names: ["a", "b"] }, "Read a and b from 3 devices"],
    [{ kind: "writeProperties", properties: { a: 1 } }, "Write a to 3 devices"],
    [{ kind: "disable" }, "Disable 3 devices"],
    [{ kind: "delete" }, "Delete 3 devices"],
  ])("has words for %o", (work, words) => {
    expect(deedText(work, 3)).toBe(words);
  });
});

const job = (change: Partial<Job>) => ({ total: 240, enqueued: 0, running: 0, succeeded: 0, failed: 0, cancelled: 0, unknown: 0, endedAt: null, condition: null, ...change }) as Job;

test("progress says how many are done, and what went wrong", () => {
  expect(progressText(job({ succeeded: 227, failed: 3, running: 10 }))).toBe("230 of 240, 3 failed");
  expect(progressText(job({ succeeded: 240 }))).toBe("240 of 240");
  expect(progressText(job({ succeeded: 237, unknown: 1, cancelled: 2 }))).toBe("240 of 240, 1 unknown, 2 cancelled");
  expect(progressText(job({ total: 0 }))).toBe("Not begun");
  expect(progressText(job({ total: 0, endedAt: "2026-11-21T10:00:00Z" }))).toBe("No devices");
});
test("a target is its condition, all devices, or how many were picked", () => {
  expect(targetText(job({ condition: "tags.a = 1" }))).toBe("tags.a = 1");
  expect(targetText(job({ condition: "*" }))).toBe("All devices");
  expect(targetText(job({}))).toBe("240 devices");
});
test("an estimate is as exact as it can be", () => {
  expect([0, 24, 200, 7200].map(estimateText)).toEqual(["less than a second", "about 24 s", "about 3 min", "about 2 h"]);
});

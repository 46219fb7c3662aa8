import { expect, test } from "vitest";
import { changeFault, isOn, kindOf, readSetting, readShare, shareText, toggleFault } from "./faults";

test("a fault that is switched on has every setting of its kind", () => {
  const faults = toggleFault([], "offline");
  expect(faults).toEqual([{ kind: "offline", devices: 1, chance: 1, after: "30s", lasts: "10s" }]);
  expect(isOn(faults, "offline")).toBe(true);
});

test("switched off, all of its kind go and others stay", () => {
  const two = [...toggleFault([], "silent"), ...toggleFault([], "offline"), ...toggleFault([], "offline")];
  expect(toggleFault(two, "offline").map(({ kind }) => kind)).toEqual(["silent"]);
});

test("only one of two faults of a kind is changed", () => {
  const two = [...toggleFault([], "noAnswer"), ...toggleFault([], "noAnswer")];
  expect(changeFault(two, 1, { devices: 0.5 }).map(({ devices }) => devices)).toEqual([1, 0.5]);
});

test("what is no time, no number or no share is refused", () => {
  const [after] = kindOf("offline").settings;
  const [times] = kindOf("bootLoop").settings;
  if (!after || !times) throw new Error("a setting is missing");
  expect(readSetting(after, " 5m ")).toBe("5m");
  for (const wrong of ["", "5", "5 minutes", "-1s"]) expect(readSetting(after, wrong)).toBeNull();
  expect(readSetting(times, "3")).toBe(3);
  for (const wrong of ["", "0", "1.5", "x"]) expect(readSetting(times, wrong)).toBeNull();
  expect(readShare("12.5")).toBe(0.125);
  for (const wrong of ["", "0", "101", "x"]) expect(readShare(wrong)).toBeNull();
  expect(shareText(0.02)).toBe("2");
});

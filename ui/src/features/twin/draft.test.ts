import { describe, expect, test } from "vitest";
import { type Draft, etagFor, isBehind, review } from "./draft";

const draft = (text: string, base = {}): Draft => ({ text, base, etag: '"1"' });
const reviewed = (text: string, base = {}, limit = 8192) => review(draft(text, base), limit);

describe("reviewing a draft", () => {
  test("shows only what changes, and null for a removed line", () => {
    expect(reviewed('{"a":1,"c":3}', { a: 1, b: 2 })).toEqual({ kind: "patch", patch: { b: null, c: 3 }, size: 18 });
  });
  test("finds nothing to do when only the layout differs", () => {
    expect(reviewed('{ "a" : 1 }', { a: 1 })).toEqual({ kind: "unchanged", size: 9 });
  });
  test("refuses text that is not JSON, not an object, or holds a null", () => {
    expect(reviewed("{")).toMatchObject({ kind: "invalid", reason: "syntax" });
    expect(reviewed("[1]")).toMatchObject({ kind: "invalid", reason: "notObject" });
    expect(reviewed('{"a":{"b":null}}')).toMatchObject({ kind: "invalid", reason: "null", detail: "a.b" });
  });
  test("refuses what the hub would not hold, to the byte", () => {
    const text = (length: number) => JSON.stringify({ a: "x".repeat(length) });
    expect(reviewed(text(4095), {}, 4096).kind).toBe("patch");
    expect(reviewed(text(4096), {}, 4096)).toEqual({ kind: "tooLarge", size: 4097 });
  });
});

test("a draft over which somebody else has written is known to be behind", () => {
  const mine = draft('{"interval":10,"mode":"a"}', { interval: 5, mode: "a" });
  expect(isBehind(mine, { interval: 5, mode: "b" })).toBe(true);
  expect(isBehind(mine, { mode: "a", interval: 5 })).toBe(false);
});

test("an etag that moved because of another section is taken over", () => {
  expect(etagFor(draft("{}", { a: 1 }), { a: 1 }, '"9"')).toBe('"9"');
  expect(etagFor(draft("{}", { a: 1 }), { a: 2 }, '"9"')).toBe('"1"');
});

import { describe, expect, test } from "vitest";
import { type Draft, etagFor, isBehind, rebase, review } from "./draft";

const draft = (text: string, base = {}): Draft => ({ text, base, etag: '"1"' });

describe("reviewing a draft", () => {
  test("shows only what changes, and null for a removed line", () => {
    expect(review(draft('{"a":1,"c":3}', { a: 1, b: 2 }))).toEqual({ kind: "patch", patch: { b: null, c: 3 } });
  });
  test("finds nothing to do when only the layout differs", () => {
    expect(review(draft('{ "a" : 1 }', { a: 1 }))).toEqual({ kind: "unchanged" });
  });
  test("refuses text that is not JSON, not an object, or holds a null", () => {
    expect(review(draft("{"))).toMatchObject({ kind: "invalid", reason: "syntax" });
    expect(review(draft("[1]"))).toMatchObject({ kind: "invalid", reason: "notObject" });
    expect(review(draft('{"a":{"b":null}}'))).toMatchObject({ kind: "invalid", reason: "null", detail: "a.b" });
  });
});

describe("a draft over which somebody else has written", () => {
  const mine = draft('{"interval":10,"mode":"a"}', { interval: 5, mode: "a" });
  test("is known to be behind", () => {
    expect(isBehind(mine, { interval: 5, mode: "b" })).toBe(true);
    expect(isBehind(mine, { mode: "a", interval: 5 })).toBe(false);
  });
  test("goes on top with its own changes only", () => {
    const next = rebase(mine, { interval: 5, mode: "b", extra: true }, '"2"');
    expect(JSON.parse(next.text)).toEqual({ interval: 10, mode: "b", extra: true });
    expect(review(next)).toEqual({ kind: "patch", patch: { interval: 10 } });
    expect(next.etag).toBe('"2"');
  });
  test("keeps unfinished text as it is", () => {
    expect(rebase(draft('{"a":'), { b: 1 }, '"2"').text).toBe('{"a":');
  });
});

test("an etag that moved because of another section is taken over", () => {
  expect(etagFor(draft("{}", { a: 1 }), { a: 1 }, '"9"')).toBe('"9"');
  expect(etagFor(draft("{}", { a: 1 }), { a: 2 }, '"9"')).toBe('"1"');
});

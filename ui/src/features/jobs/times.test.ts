import { describe, expect, test } from "vitest";
import { clockText, nextHour, readStart, soon, wallText } from "./times";

const BERLIN = "Europe/Berlin";
const at = (text: string) => Date.parse(text);

describe("the time a job starts", () => {
  const now = at("2026-11-21T10:00:00Z");
  test("is read in the zone it was written in", () => {
    expect(readStart("2026-11-21 14:30", BERLIN, now)).toEqual({ ok: true, ms: at("2026-11-21T13:30:00Z"), twice: false });
    expect(readStart("2026-11-21T14:30:05", "UTC", now)).toEqual({ ok: true, ms: at("2026-11-21T14:30:05Z"), twice: false });
  });
  test("is refused when it has passed, is too far ahead, or is no time", () => {
    const problem = (text: string) => readStart(text, "UTC", now);
    expect(problem("2026-11-21 09:59")).toEqual({ ok: false, problem: "past" });
    expect(problem("2026-11-28 10:00:01")).toEqual({ ok: false, problem: "tooFar" });
    expect(problem("2026-11-28 10:00").ok).toBe(true);
    for (const text of ["", "soon", "2026-11-31 10:00", "2026-11-22 24:00", "2026-11-22 10:60", "2026-13-01 10:00"]) {
      expect(problem(text)).toEqual({ ok: false, problem: "unreadable" });
    }
  });
});

describe("when clocks change", () => {
  test("an hour they skip is no time", () => {
    const before = at("2026-03-28T12:00:00Z");
    expect(readStart("2026-03-29 02:30", BERLIN, before)).toEqual({ ok: false, problem: "skipped" });
    expect(readStart("2026-03-29 03:30", BERLIN, before)).toEqual({ ok: true, ms: at("2026-03-29T01:30:00Z"), twice: false });
  });
  test("of an hour they repeat the earlier is meant, and the later once that has passed", () => {
    expect(readStart("2026-10-25 02:30", BERLIN, at("2026-10-24T12:00:00Z"))).toEqual({ ok: true, ms: at("2026-10-25T00:30:00Z"), twice: true });
    expect(readStart("2026-10-25 02:30", BERLIN, at("2026-10-25T00:45:00Z"))).toEqual({ ok: true, ms: at("2026-10-25T01:30:00Z"), twice: true });
  });
  test("what is shown is what was written", () => {
    for (const text of ["2026-03-29 01:59:59", "2026-03-29 03:00", "2026-10-25 03:00"]) {
      const start = readStart(text, BERLIN, at("2026-03-24T12:00:00Z") + (text.includes("-10-") ? 214 * 86_400_000 : 0));
      expect(start.ok && wallText(start.ms, BERLIN)).toBe(text);
    }
  });
});

test("a time offered is a full minute ahead, or the next such hour in the zone", () => {
  expect(soon(at("2026-11-21T10:00:20Z"), 15)).toBe(at("2026-11-21T10:16:00Z"));
  expect(nextHour(at("2026-11-21T10:00:00Z"), BERLIN, 22)).toBe(at("2026-11-21T21:00:00Z"));
  expect(nextHour(at("2026-11-21T22:00:00Z"), BERLIN, 22)).toBe(at("2026-11-22T21:00:00Z"));
  // The hour that is skipped in spring comes on the day after.
  expect(nextHour(at("2026-03-28T12:00:00Z"), BERLIN, 2)).toBe(at("2026-03-30T00:00:00Z"));
});

test("a time of today is told without its day", () => {
  const now = at("2026-11-21T10:00:00Z");
  expect(clockText(at("2026-11-21T13:30:00Z"), BERLIN, now, "en")).toBe("14:30");
  expect(clockText(at("2026-11-21T23:30:07Z"), BERLIN, now, "en")).toBe("Sun, Nov 22, 00:30:07");
  expect(clockText(at("2026-11-21T23:30:00Z"), "UTC", now, "en")).toBe("23:30");
});

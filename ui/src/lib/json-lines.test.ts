import { expect, test } from "vitest";
import { jsonLines } from "./json-lines";

const text = (value: Parameters<typeof jsonLines>[0]) =>
  jsonLines(value)
    .map((line) => `${"  ".repeat(line.indent)}${line.key === null ? "" : `${JSON.stringify(line.key)}: `}${line.text}${line.comma ? "," : ""}`)
    .join("\n");

test("the lines read like pretty-printed JSON", () => {
  const value = { a: 1, b: { c: ["x", true], d: {} }, e: [], f: null };
  expect(text(value)).toBe(JSON.stringify(value, null, 2));
});
test("each line knows its dotted path, and array items answer to their array", () => {
  const paths = jsonLines({ a: { b: 1 }, c: [2] }).map((line) => line.path);
  expect(paths).toEqual(["", "a", "a.b", "a", "c", "c", "c", ""]);
});

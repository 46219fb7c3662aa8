import type { JsonValue } from "../ipc";

export type JsonLine = {
  indent: number;
  key: string | null;
  /** The scalar, bracket or empty container on this line, as JSON text. */
  text: string;
  kind: "string" | "number" | "word" | "mark";
  comma: boolean;
  /** Dotted path of the value; a closing bracket has its container's. */
  path: string;
  opens: boolean;
};

const kindOf = (value: JsonValue): JsonLine["kind"] =>
  typeof value === "string" ? "string" : typeof value === "number" ? "number" : "word";

/** Pretty JSON as lines that know where in the document they are. */
export function jsonLines(value: JsonValue, path = "", key: string | null = null, indent = 0, comma = false): JsonLine[] {
  const line = (text: string, kind: JsonLine["kind"], more: Partial<JsonLine> = {}): JsonLine => ({
    indent,
    key,
    text,
    kind,
    comma,
    path,
    opens: false,
    ...more,
  });
  if (typeof value !== "object" || value === null) return [line(JSON.stringify(value), kindOf(value))];
  const array = Array.isArray(value);
  const entries: [string | null, JsonValue][] = array ? value.map((item) => [null, item]) : Object.entries(value);
  if (entries.length === 0) return [line(array ? "[]" : "{}", "mark")];
  return [
    line(array ? "[" : "{", "mark", { comma: false, opens: true }),
    ...entries.flatMap(([name, inner], index) => {
      // An array changes as a whole, so its items answer to the array's path.
      const innerPath = name === null ? path : path === "" ? name : `${path}.${name}`;
      return jsonLines(inner, innerPath, name, indent + 1, index < entries.length - 1);
    }),
    line(array ? "]" : "}", "mark", { key: null }),
  ];
}

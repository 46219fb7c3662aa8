import type { JsonValue } from "../ipc";

/** Numbers from 0 up to 1 that follow from the seed alone (mulberry32). */
function chance(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

// Few names, so that two objects often share some; the last ones every object inherits or means something else by.
const NAMES = ["a", "b", "c", "constructor", "__proto__"];
const LEAVES: JsonValue[] = [0, 1, "", "x", true, false, [], [1], [{ a: 1 }]];

function someObject(next: () => number, depth: number): JsonValue {
  const names = NAMES.filter(() => next() < 0.5);
  const value = () =>
    depth > 0 && next() < 0.5 ? someObject(next, depth - 1) : (LEAVES[Math.floor(next() * LEAVES.length)] ?? 0);
  return Object.fromEntries(names.map((name) => [name, value()]));
}

/** For property tests: `cases` rows of `width` objects as a twin's section may hold them; always the same. */
export function someSections(cases: number, width: number): JsonValue[][] {
  return Array.from({ length: cases }, (_, seed) => {
    const next = chance(seed);
    return Array.from({ length: width }, () => someObject(next, 2));
  });
}

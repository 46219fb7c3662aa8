import type { SimulatedState } from "../../ipc";

/** Where the dots of a fleet stand: rows from left to right, in order of id. */
export type DotLayout = { cell: number; columns: number; rows: number; count: number; height: number };

/** Many devices get less room each. */
export function layoutDots(count: number, width: number): DotLayout {
  const cell = count <= 60 ? 36 : count <= 300 ? 24 : count <= 2000 ? 18 : 14;
  const columns = Math.max(1, Math.floor(width / cell));
  const rows = Math.ceil(count / columns);
  return { cell, columns, rows, count, height: rows * cell };
}

/** The place of the dot at a point of the grid. */
export function dotAt({ cell, columns, count }: DotLayout, x: number, y: number): number | null {
  const column = Math.floor(x / cell);
  if (column < 0 || column >= columns || y < 0) return null;
  const place = Math.floor(y / cell) * columns + column;
  return place < count ? place : null;
}

/** Where a key leads from a place; null for keys that lead nowhere. */
export function moveDot({ columns, count }: DotLayout, place: number, key: string, mod: boolean, page: number): number | null {
  const to = (next: number) => Math.max(0, Math.min(count - 1, next));
  const row = place - (place % columns);
  switch (key) {
    case "ArrowRight":
      return to(place + 1);
    case "ArrowLeft":
      return to(place - 1);
    case "ArrowDown":
      return place + columns < count ? place + columns : place;
    case "ArrowUp":
      return place >= columns ? place - columns : place;
    case "PageDown":
      return to(place + columns * page);
    case "PageUp":
      return to(place - columns * page);
    case "Home":
      return mod ? 0 : row;
    case "End":
      return to(mod ? count - 1 : row + columns - 1);
    default:
      return null;
  }
}

/** Places of the devices that are in one of the states; all of them for `null`. */
export function placesOf(states: SimulatedState[], only: SimulatedState | null): number[] | null {
  if (only === null) return null;
  const places: number[] = [];
  for (let place = 0; place < states.length; place += 1) if (states[place] === only) places.push(place);
  return places;
}

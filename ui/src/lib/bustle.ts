const WINDOW = 1000;
const MOST = 50;

let began = 0;
let count = 0;

/** Notes that so many rows changed at a time. */
export function noteChanges(rows: number, now: number): void {
  if (now - began > WINDOW) {
    began = now;
    count = 0;
  }
  count += rows;
}

/** More changes in a second than an eye can follow: marking each would only flicker. */
export const isBustling = (now: number): boolean => count > MOST && now - began <= WINDOW;

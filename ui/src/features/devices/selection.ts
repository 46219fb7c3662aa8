/** One more or one less. */
export function toggle(selected: ReadonlySet<string>, id: string): Set<string> {
  const next = new Set(selected);
  if (!next.delete(id)) next.add(id);
  return next;
}

/** Everything between the anchor and the row, in the order that is shown; without an anchor, the row. */
export function extend(selected: ReadonlySet<string>, view: string[], anchor: string | null, id: string): Set<string> {
  const to = view.indexOf(id);
  const from = anchor === null ? to : view.indexOf(anchor);
  const next = new Set(selected);
  if (from < 0) return next.add(id);
  for (const between of view.slice(Math.min(from, to), Math.max(from, to) + 1)) next.add(between);
  return next;
}

export type AllState = "none" | "some" | "all";

export function allState(selected: ReadonlySet<string>, view: string[]): AllState {
  if (selected.size === 0 || view.length === 0) return "none";
  const inView = view.reduce((count, id) => count + (selected.has(id) ? 1 : 0), 0);
  return inView === 0 ? "none" : inView === view.length ? "all" : "some";
}

/** The header's box: picks all that the filter shows, or lets go of exactly those. */
export function toggleAll(selected: ReadonlySet<string>, view: string[]): Set<string> {
  if (allState(selected, view) !== "all") return new Set([...selected, ...view]);
  const next = new Set(selected);
  for (const id of view) next.delete(id);
  return next;
}

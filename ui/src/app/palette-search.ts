const MOST = 8;

/** Ids that begin with the text come before those that hold it; never walks on once it has enough. */
export function findDevices(ids: string[], text: string): string[] {
  const wanted = text.trim().toLowerCase();
  if (wanted === "") return [];
  const first: string[] = [];
  const rest: string[] = [];
  for (const id of ids) {
    const at = id.toLowerCase().indexOf(wanted);
    if (at === 0) first.push(id);
    else if (at > 0 && rest.length < MOST) rest.push(id);
    if (first.length >= MOST) break;
  }
  return [...first, ...rest].slice(0, MOST);
}

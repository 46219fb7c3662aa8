import type { HistoryEntry, HistoryPage } from "../ipc";

/** `news` counts up when there is something new in the device's history. */
export type LookedAt = { deviceId: string; news: number } | null;

export const noteHistory = (looked: LookedAt, deviceIds: string[]): LookedAt =>
  looked && deviceIds.includes(looked.deviceId) ? { ...looked, news: looked.news + 1 } : looked;

/** A job's part is known by its job: the number of a device is the same in many. */
export const entryKey = (entry: HistoryEntry): string => (entry.kind === "job" ? `job-${entry.jobId}` : `${entry.kind}-${entry.id}`);

/** The newest page, read again, with the older ones that are known. */
export function withNewest(known: HistoryPage | null, newest: HistoryPage): HistoryPage {
  if (!known) return newest;
  const keys = new Set(newest.entries.map(entryKey));
  const meets = known.entries.some((entry) => keys.has(entryKey(entry)));
  // So much has happened that something lies between the two: what is older is read again when asked for.
  if (!meets && newest.more) return newest;
  const older = known.entries.filter((entry) => !keys.has(entryKey(entry)));
  return { entries: [...newest.entries, ...older], more: older.length > 0 ? known.more : newest.more };
}

/** The next page; what came in the meantime has moved some entries onto it that are known. */
export function withOlder(known: HistoryPage, older: HistoryPage): HistoryPage {
  const keys = new Set(known.entries.map(entryKey));
  return { entries: [...known.entries, ...older.entries.filter((entry) => !keys.has(entryKey(entry)))], more: older.more };
}

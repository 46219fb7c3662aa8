/** A day and a time as they stand on a wall, in a zone; "2026-11-21 14:30", with seconds where they count. */
const FORM = /^\s*(\d{4})-(\d{1,2})-(\d{1,2})[ T]+(\d{1,2}):(\d{2})(?::(\d{2}))?\s*$/;
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
/** The hub's own limit. */
export const MOST_AHEAD = 168 * HOUR;

export const zoneHere = (): string => Intl.DateTimeFormat().resolvedOptions().timeZone;

/** What clocks in the zone show, as if it were UTC: only to be compared with others of its kind. */
function shown(ms: number, zone: string): number {
  const parts = new Intl.DateTimeFormat("en", {
    timeZone: zone,
    hourCycle: "h23",
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
  }).formatToParts(ms);
  const of = (type: string) => Number(parts.find((part) => part.type === type)?.value);
  return Date.UTC(of("year"), of("month") - 1, of("day"), of("hour"), of("minute"), of("second"));
}

/** "2026-11-21 14:30", with seconds unless they are none. */
export function wallText(ms: number, zone: string): string {
  const text = new Date(shown(ms, zone)).toISOString().slice(0, 19).replace("T", " ");
  return text.endsWith(":00") ? text.slice(0, -3) : text;
}

/** Every moment at which clocks in the zone show this: none where they skip it, two where they repeat it. */
function moments(wall: number, zone: string): number[] {
  const offsets = [wall - DAY, wall + DAY].map((near) => shown(near, zone) - near);
  const found = offsets.map((offset) => wall - offset).filter((ms) => shown(ms, zone) === wall);
  return [...new Set(found)].sort((a, b) => a - b);
}

export type StartProblem = "unreadable" | "skipped" | "past" | "tooFar";
/** `twice`: clocks are put back over it, and the earlier one is meant. */
export type Start = { ok: true; ms: number; twice: boolean } | { ok: false; problem: StartProblem };

export function readStart(text: string, zone: string, now: number): Start {
  const refuse = (problem: StartProblem): Start => ({ ok: false, problem });
  const [, year, month, day, hour, minute, second] = (FORM.exec(text) ?? []).map(Number);
  if (year === undefined || month === undefined || day === undefined || hour === undefined || minute === undefined) return refuse("unreadable");
  const seconds = second === undefined || Number.isNaN(second) ? 0 : second;
  const wall = Date.UTC(year, month - 1, day, hour, minute, seconds);
  // The 31st of a month without one would become the 1st of the next.
  const read = new Date(wall);
  if (read.getUTCMonth() !== month - 1 || read.getUTCDate() !== day || read.getUTCHours() !== hour || minute > 59 || seconds > 59) return refuse("unreadable");
  const [first, later] = moments(wall, zone);
  if (first === undefined) return refuse("skipped");
  const ms = first <= now && later !== undefined ? later : first;
  if (ms <= now) return refuse("past");
  if (ms - now > MOST_AHEAD) return refuse("tooFar");
  return { ok: true, ms, twice: later !== undefined };
}

/** So many minutes from now, at a full minute. */
export const soon = (now: number, minutes: number): number => Math.ceil((now + minutes * 60_000) / 60_000) * 60_000;

/** The next time clocks in the zone show this hour, full. */
export function nextHour(now: number, zone: string, hour: number): number {
  const today = new Date(shown(now, zone));
  today.setUTCHours(hour, 0, 0, 0);
  for (let ahead = 0; ; ahead += 1) {
    const ms = moments(today.getTime() + ahead * DAY, zone).find((moment) => moment > now);
    if (ms !== undefined) return ms;
  }
}

/** "14:30", and the day where it is another than today's in that zone. */
export function clockText(ms: number, zone: string, now: number, locale: string): string {
  const options: Intl.DateTimeFormatOptions = { timeZone: zone, hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  if (ms % 60_000 !== 0) options.second = "2-digit";
  const time = new Intl.DateTimeFormat(locale, options).format(ms);
  const day = (moment: number) => Math.floor(shown(moment, zone) / DAY);
  if (day(ms) === day(now)) return time;
  const date = new Intl.DateTimeFormat(locale, { timeZone: zone, weekday: "short", day: "numeric", month: "short" }).format(ms);
  return `${date}, ${time}`;
}

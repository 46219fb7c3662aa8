import i18n from "./i18n";

const locale = () => i18n.language || "en";

export const formatNumber = (value: number): string => new Intl.NumberFormat(locale()).format(value);

export const formatPercent = (part: number, whole: number): string =>
  new Intl.NumberFormat(locale(), { style: "percent", maximumFractionDigits: 0 }).format(whole === 0 ? 0 : part / whole);

export const formatAbsolute = (time: string | number): string =>
  new Intl.DateTimeFormat(locale(), { dateStyle: "medium", timeStyle: "medium" }).format(new Date(time));

export function formatBytes(bytes: number): string {
  const units = ["byte", "kilobyte", "megabyte", "gigabyte"] as const;
  let value = bytes;
  let index = 0;
  while (value >= 1024 && index < units.length - 1) {
    value /= 1024;
    index += 1;
  }
  return new Intl.NumberFormat(locale(), {
    style: "unit",
    unit: units[index] ?? "byte",
    unitDisplay: index === 0 ? "long" : "short",
    maximumFractionDigits: value < 10 && index > 0 ? 1 : 0,
  }).format(value);
}

/** "3 min ago"; the years before 2000 are how a hub says "never". */
export function formatAgo(time: string | number, now: number): string {
  // Our clock ticks in steps, and the hub's may run ahead: nothing has happened "in 3 s".
  const seconds = Math.max(0, Math.round((now - new Date(time).getTime()) / 1000));
  const format = new Intl.RelativeTimeFormat(locale(), { numeric: "auto", style: "short" });
  if (seconds < 5) return format.format(0, "second");
  if (seconds < 60) return format.format(-seconds, "second");
  if (seconds < 3600) return format.format(-Math.round(seconds / 60), "minute");
  if (seconds < 86_400) return format.format(-Math.round(seconds / 3600), "hour");
  return format.format(-Math.round(seconds / 86_400), "day");
}

export const isNever = (time: string | null): boolean => time === null || new Date(time).getFullYear() < 2000;

const unit = (value: number, name: string, digits = 0) =>
  new Intl.NumberFormat(locale(), { style: "unit", unit: name, unitDisplay: "narrow", maximumFractionDigits: digits }).format(value);

/** "340ms", "4.2s", "2m 05s": short enough for a cell. */
export function formatDuration(ms: number): string {
  const clamped = Math.max(0, ms);
  if (clamped < 1000) return unit(Math.round(clamped), "millisecond");
  if (clamped < 10_000) return unit(clamped / 1000, "second", 1);
  const seconds = Math.floor(clamped / 1000);
  if (seconds < 60) return unit(seconds, "second");
  if (seconds < 3600) return `${unit(Math.floor(seconds / 60), "minute")} ${unit(seconds % 60, "second")}`;
  return `${unit(Math.floor(seconds / 3600), "hour")} ${unit(Math.floor((seconds % 3600) / 60), "minute")}`;
}

/** "0", "0.4", "12": a rate a second, with a digit more only where it says something. */
export const formatRate = (rate: number): string => new Intl.NumberFormat(locale(), { maximumFractionDigits: rate < 10 ? 1 : 0 }).format(rate);

/** "14:03:07.120": for logs, where parts of a second matter. */
export const formatTime = (time: string): string =>
  new Intl.DateTimeFormat(locale(), { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hourCycle: "h23" }).format(
    new Date(time),
  );

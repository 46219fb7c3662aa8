import type { Job, JobWork } from "../../ipc";
import { formatNumber } from "../../lib/format";
import i18n from "../../lib/i18n";
import { clockText } from "./times";

const { t } = i18n;

const listed = (names: string[]): string => new Intl.ListFormat(i18n.language || "en", { type: "conjunction" }).format(names);

/** "desired building and floor": what a twin change touches. */
function parts(work: Extract<JobWork, { kind: "updateTwin" }>): string {
  const keys = (value: unknown) => Object.keys((value ?? {}) as object);
  const sections = (["desired", "tags"] as const).flatMap((section) => keys(work[section]).map((key) => `${section}.${key}`));
  return listed(sections);
}

/** "Invoke lockDoor on 240 devices": what happens to whom. */
export function deedText(work: JobWork, count: number): string {
  const devices = t("devices.count", { count });
  switch (work.kind) {
    case "invokeMethod":
      return t("jobs.deeds.invokeMethod", { name: work.methodName, devices });
    case "updateTwin":
      return t("jobs.deeds.updateTwin", { parts: parts(work), devices });
    case "firmwareUpdate":
      return work.version === null ? t("jobs.deeds.firmwareUpdate", { devices }) : t("jobs.deeds.firmwareVersion", { version: work.version, devices });
    case "configurationUpdate":
      return t("jobs.deeds.configurationUpdate", { name: work.name, value: JSON.stringify(work.value), devices });
    case "readProperties":
      return t("jobs.deeds.readProperties", { names: listed(work.names), devices });
    case "writeProperties":
      return t("jobs.deeds.writeProperties", { names: listed(Object.keys((work.properties ?? {}) as object)), devices });
    default:
      return t(`jobs.deeds.${work.kind}`, { devices });
  }
}

/** "Invoke lockDoor on 240 devices at 14:30, finish by 15:30". `start` is absent for now. */
export function reviewText(work: JobWork, count: number, start: number | null, minutes: number, now: number, zone: string): string {
  const locale = i18n.language || "en";
  const deed = deedText(work, count);
  // What begins now ends by a full minute: a sentence that counts seconds is hard to read.
  const begin = start ?? Math.ceil(now / 60_000) * 60_000;
  const until = clockText(begin + minutes * 60_000, zone, now, locale);
  return start === null ? t("jobs.review.now", { deed, until }) : t("jobs.review.at", { deed, at: clockText(start, zone, now, locale), until });
}

export const doneOf = (job: Job): number => job.succeeded + job.failed + job.unknown + job.cancelled;

/** "230 of 240, 3 failed". */
export function progressText(job: Job): string {
  if (job.total === 0) return t(job.endedAt === null ? "jobs.progress.notYet" : "jobs.progress.none");
  const said = [t("jobs.progress.done", { done: doneOf(job), total: job.total })];
  if (job.failed > 0) said.push(t("jobs.progress.failed", { count: job.failed }));
  if (job.unknown > 0) said.push(t("jobs.progress.unknown", { count: job.unknown }));
  if (job.cancelled > 0) said.push(t("jobs.progress.cancelled", { count: job.cancelled }));
  return said.join(", ");
}

const isEvery = (condition: string): boolean => ["", "*"].includes(condition.trim());

/** Its target is words of ours, not a condition. */
export const isForAll = (job: Job): boolean => job.condition === null || isEvery(job.condition);

/** The condition, or how many devices were picked. */
export function targetText(job: Job): string {
  if (job.condition === null) return t("devices.count", { count: job.total });
  return isEvery(job.condition) ? t("jobs.allDevices") : job.condition.trim();
}

/** "about 24 s", "about 3 min". */
export function estimateText(seconds: number): string {
  if (seconds < 1) return t("jobs.estimate.instant");
  const [value, unit] = seconds < 90 ? [seconds, "seconds"] as const : seconds < 5400 ? [Math.round(seconds / 60), "minutes"] as const : [Math.round(seconds / 3600), "hours"] as const;
  return t(`jobs.estimate.${unit}`, { value: formatNumber(value) });
}

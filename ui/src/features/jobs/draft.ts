import { create } from "zustand";
import { packageIsChosen } from "../../components/PackageField";
import type { JobKind, JobRunner, JobTarget, JobWork, JsonValue, NewJob, PackageSource } from "../../ipc";
import { isObject } from "../../lib/json-patch";
import { byteLength, METHOD_PAYLOAD_LIMIT, parseText, pretty, PROPERTIES_LIMIT, TAGS_LIMIT } from "../../lib/json-text";

/** A new job as it is being written. Texts stay as they were typed. */
export type Draft = {
  kind: JobKind;
  methodName: string;
  payload: string;
  responseTimeout: string;
  connectTimeout: string;
  desired: string;
  tags: string;
  package: PackageSource | null;
  version: string;
  setting: string;
  settingValue: string;
  names: string;
  properties: string;
  target: "picked" | "all" | "query";
  ids: string[];
  /** Where the ids come from. */
  source: "selection" | "shown" | "file" | "job" | "failed" | null;
  condition: string;
  runner: JobRunner;
  later: boolean;
  startAt: string;
  utc: boolean;
  minutes: string;
};

export const emptyDraft: Draft = {
  kind: "invokeMethod",
  methodName: "",
  payload: "",
  responseTimeout: "30",
  connectTimeout: "0",
  desired: "",
  tags: "",
  package: null,
  version: "",
  setting: "",
  settingValue: "",
  names: "",
  properties: "",
  target: "query",
  ids: [],
  source: null,
  condition: "",
  runner: "here",
  later: false,
  startAt: "",
  utc: false,
  minutes: "60",
};

export const MOST_MINUTES = 7 * 24 * 60;

export const kindGroups = {
  hub: ["invokeMethod", "updateTwin"],
  device: ["firmwareUpdate", "reboot", "factoryReset", "configurationUpdate", "readProperties", "writeProperties"],
  registry: ["enable", "disable", "delete"],
} as const satisfies Record<string, JobKind[]>;

export const kinds: JobKind[] = Object.values(kindGroups).flat();

export const hubCan = (kind: JobKind): boolean => kind === "invokeMethod" || kind === "updateTwin";
export const isDestructive = (kind: JobKind): boolean => kind === "factoryReset" || kind === "disable" || kind === "delete";

/** Who would do it: the hub only what it can. */
export const runnerOf = (draft: Draft): JobRunner => (hubCan(draft.kind) ? draft.runner : "here");

// ---- what is wrong with it -----------------------------------------------------------------------
export type Field =
  | "methodName"
  | "payload"
  | "responseTimeout"
  | "connectTimeout"
  | "desired"
  | "tags"
  | "package"
  | "setting"
  | "settingValue"
  | "names"
  | "properties"
  | "ids"
  | "condition"
  | "minutes";

/** `missing` is told only once somebody has tried to go on without it. */
export type Problem = { reason: "missing" | "syntax" | "notObject" | "tooLarge" | "range" | "uri"; detail?: string };
export type Problems = Partial<Record<Field, Problem>>;

export const namesOf = (text: string): string[] => [...new Set(text.split(/[\s,]+/).filter((name) => name !== ""))];

const whole = (text: string, from: number, to: number): number | null => {
  const value = Number(text);
  return text.trim() !== "" && Number.isInteger(value) && value >= from && value <= to ? value : null;
};

class Reader {
  problems: Problems = {};

  wrong(field: Field, reason: Problem["reason"], detail?: string): undefined {
    this.problems[field] = detail === undefined ? { reason } : { reason, detail };
  }

  json(field: Field, text: string, limit: number): JsonValue | undefined {
    const parsed = parseText(text);
    if (!parsed.ok) return this.wrong(field, "syntax", parsed.message);
    return byteLength(text) > limit ? this.wrong(field, "tooLarge", String(limit)) : parsed.value;
  }

  /** Nothing typed is no object, and no mistake. */
  object(field: Field, text: string, limit: number): { [key: string]: JsonValue } | null {
    if (text.trim() === "") return null;
    const value = this.json(field, text, limit);
    if (value === undefined) return null;
    if (isObject(value)) return value;
    this.wrong(field, "notObject");
    return null;
  }

  range(field: Field, text: string, from: number, to: number): number {
    const value = whole(text, from, to);
    if (value === null) this.wrong(field, "range");
    return value ?? from;
  }

  text(field: Field, text: string): string {
    if (text.trim() === "") this.wrong(field, "missing");
    return text.trim();
  }
}

function readWork(draft: Draft, reader: Reader): JobWork {
  switch (draft.kind) {
    case "invokeMethod":
      return {
        kind: "invokeMethod",
        methodName: reader.text("methodName", draft.methodName),
        payload: draft.payload.trim() === "" ? null : (reader.json("payload", draft.payload, METHOD_PAYLOAD_LIMIT) ?? null),
        responseTimeoutSeconds: reader.range("responseTimeout", draft.responseTimeout, 5, 300),
        connectTimeoutSeconds: reader.range("connectTimeout", draft.connectTimeout, 0, 300),
      };
    case "updateTwin": {
      const desired = reader.object("desired", draft.desired, PROPERTIES_LIMIT);
      const tags = reader.object("tags", draft.tags, TAGS_LIMIT);
      const isEmpty = (section: object | null) => section === null || Object.keys(section).length === 0;
      if (isEmpty(desired) && isEmpty(tags) && !reader.problems.desired && !reader.problems.tags) reader.wrong("desired", "missing");
      return { kind: "updateTwin", desired, tags };
    }
    case "firmwareUpdate": {
      const { package: source } = draft;
      if (source === null || (source.kind === "uri" && source.uri === "")) reader.wrong("package", "missing");
      else if (!packageIsChosen(source)) reader.wrong("package", "uri");
      return { kind: "firmwareUpdate", package: source ?? { kind: "uri", uri: "" }, version: draft.version.trim() === "" ? null : draft.version.trim() };
    }
    case "configurationUpdate": {
      const name = reader.text("setting", draft.setting);
      if (draft.settingValue.trim() === "") reader.wrong("settingValue", "missing");
      const value = draft.settingValue.trim() === "" ? null : (reader.json("settingValue", draft.settingValue, METHOD_PAYLOAD_LIMIT) ?? null);
      return { kind: "configurationUpdate", name, value };
    }
    case "readProperties": {
      const names = namesOf(draft.names);
      if (names.length === 0) reader.wrong("names", "missing");
      return { kind: "readProperties", names };
    }
    case "writeProperties": {
      const properties = reader.object("properties", draft.properties, METHOD_PAYLOAD_LIMIT);
      if (!reader.problems.properties && Object.keys(properties ?? {}).length === 0) reader.wrong("properties", "missing");
      return { kind: "writeProperties", properties };
    }
    default:
      return { kind: draft.kind };
  }
}

export const targetOf = (draft: Draft): JobTarget =>
  draft.target === "picked" ? { kind: "devices", ids: draft.ids } : { kind: "query", condition: draft.target === "all" ? "" : draft.condition.trim() };

export type Reading = { work: JobWork; target: JobTarget; minutes: number; problems: Problems };

export function readDraft(draft: Draft): Reading {
  const reader = new Reader();
  const work = readWork(draft, reader);
  if (draft.target === "picked" && draft.ids.length === 0) reader.wrong("ids", "missing");
  // Every device is a choice of its own, never what an empty field comes to.
  if (draft.target === "query" && draft.condition.trim() === "") reader.wrong("condition", "missing");
  return { work, target: targetOf(draft), minutes: reader.range("minutes", draft.minutes, 1, MOST_MINUTES), problems: reader.problems };
}

const workFields: Field[] = ["methodName", "payload", "responseTimeout", "connectTimeout", "desired", "tags", "package", "setting", "settingValue", "names", "properties"];

export const workIsReady = (problems: Problems): boolean => workFields.every((field) => !problems[field]);
export const targetIsReady = (problems: Problems): boolean => !problems.ids && !problems.condition;

// ---- from what was asked before ------------------------------------------------------------------
const text = (value: JsonValue): string => (value === null ? "" : pretty(value));

function workDraft(work: JobWork): Partial<Draft> {
  switch (work.kind) {
    case "invokeMethod":
      return {
        methodName: work.methodName,
        payload: text(work.payload),
        responseTimeout: String(work.responseTimeoutSeconds),
        connectTimeout: String(work.connectTimeoutSeconds),
      };
    case "updateTwin":
      return { desired: text(work.desired), tags: text(work.tags) };
    case "firmwareUpdate":
      return { package: work.package, version: work.version ?? "" };
    case "configurationUpdate":
      return { setting: work.name, settingValue: pretty(work.value) };
    case "readProperties":
      return { names: work.names.join(", ") };
    case "writeProperties":
      return { properties: text(work.properties) };
    default:
      return {};
  }
}

function targetDraft(target: JobTarget, source: Draft["source"]): Partial<Draft> {
  if (target.kind === "devices") return { target: "picked", ids: target.ids, source };
  const condition = target.condition.trim();
  return condition === "" || condition === "*" ? { target: "all" } : { target: "query", condition };
}

/** A job that was asked for, to be asked again. */
export const draftOf = (job: NewJob, source: "job" | "failed"): Draft => ({
  ...emptyDraft,
  kind: job.work.kind,
  ...workDraft(job.work),
  ...targetDraft(job.target, source),
  runner: job.runner,
  minutes: String(job.maxMinutes),
});

// ---- kept while other screens are looked at ------------------------------------------------------
export const useDrafts = create<{ hubId: string | null; draft: Draft }>(() => ({ hubId: null, draft: emptyDraft }));

export const changeDraft = (change: Partial<Draft>): void => useDrafts.setState(({ draft }) => ({ draft: { ...draft, ...change } }));

/** Ids and conditions of one hub mean nothing on another. */
export const beginDraft = (hubId: string): void => useDrafts.setState((now) => (now.hubId === hubId ? now : { hubId, draft: emptyDraft }));

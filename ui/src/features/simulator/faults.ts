import type { FaultName, SwitchedFault } from "../../ipc";

export type SettingKey = "after" | "lasts" | "every" | "by" | "bytesPerSecond" | "afterBytes" | "times" | "status" | "seconds";

type Setting = { key: SettingKey; kind: "time" | "number"; least?: number; first: string | number };

/** The settings of each kind, with what they begin with. Those without `chance` are a state the device is in, not an occasion. */
type Kind = { kind: FaultName; settings: Setting[]; chance: boolean };

const time = (key: SettingKey, first: string): Setting => ({ key, kind: "time", first });
const number = (key: SettingKey, first: number, least = 1): Setting => ({ key, kind: "number", first, least });

export const kinds: Kind[] = [
  { kind: "offline", settings: [time("after", "30s"), time("lasts", "10s")], chance: false },
  { kind: "flapping", settings: [time("every", "1m"), time("lasts", "5s")], chance: true },
  { kind: "silent", settings: [], chance: false },
  { kind: "noAnswer", settings: [], chance: true },
  { kind: "lateAnswer", settings: [time("by", "10s")], chance: true },
  { kind: "wrongAnswer", settings: [number("status", 500, -2_147_483_648)], chance: true },
  { kind: "slowDownload", settings: [number("bytesPerSecond", 10_000)], chance: true },
  { kind: "cutDownload", settings: [number("afterBytes", 1000, 0)], chance: true },
  { kind: "wrongChecksum", settings: [], chance: true },
  { kind: "noSpace", settings: [], chance: true },
  { kind: "applyFails", settings: [], chance: true },
  { kind: "rollsBack", settings: [], chance: true },
  { kind: "bootLoop", settings: [number("times", 3)], chance: true },
  { kind: "twinRegression", settings: [], chance: true },
  { kind: "clockSkew", settings: [number("seconds", 3600, -2_147_483_648)], chance: false },
];

export const kindOf = (name: FaultName): Kind => kinds.find(({ kind }) => kind === name) ?? { kind: name, settings: [], chance: true };

export const isOn = (faults: SwitchedFault[], name: FaultName): boolean => faults.some(({ kind }) => kind === name);

/** Switched on it strikes always, with the settings it begins with; switched off all of its kind go. */
export function toggleFault(faults: SwitchedFault[], name: FaultName): SwitchedFault[] {
  if (isOn(faults, name)) return faults.filter(({ kind }) => kind !== name);
  const settings = Object.fromEntries(kindOf(name).settings.map(({ key, first }) => [key, first]));
  return [...faults, { kind: name, devices: 1, chance: 1, ...settings }];
}

export const changeFault = (faults: SwitchedFault[], at: number, change: Partial<SwitchedFault>): SwitchedFault[] =>
  faults.map((fault, index) => (index === at ? { ...fault, ...change } : fault));

/** A time as fleet files have it: a whole number and its unit. */
const isTime = (text: string): boolean => /^\d{1,12}(ms|s|m|h)$/.test(text.trim());

/** The typed text as a setting; null when it is none. */
export function readSetting({ kind, least = 0 }: Setting, text: string): string | number | null {
  if (kind === "time") return isTime(text) ? text.trim() : null;
  const value = Number(text);
  return text.trim() !== "" && Number.isInteger(value) && value >= least && value <= 2_147_483_647 ? value : null;
}

/** "12.5" per cent as 0.125; null for what is no share. */
export function readShare(text: string): number | null {
  const value = Number(text);
  return text.trim() !== "" && value > 0 && value <= 100 ? value / 100 : null;
}

export const shareText = (share: number): string => String(Math.round(share * 10_000) / 100);

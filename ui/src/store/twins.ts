import type { TwinView } from "../ipc";
import { changedPaths } from "../lib/json-patch";

export type TwinChange = { path: string; at: number };
export type WatchedTwin = { twin: TwinView; changes: TwinChange[] };
export type Twins = Record<string, WatchedTwin>;

const KEPT_CHANGES = 40;

const sectionsOf = (twin: TwinView) => ({ tags: twin.tags, desired: twin.desired, reported: twin.reported });

/** `changed` from the backend, else found by comparing. The newest change of a path comes first. */
export function applyTwin(twins: Twins, twin: TwinView, changed: string[], now: number): Twins {
  const before = twins[twin.deviceId];
  const paths =
    changed.length > 0 || !before ? changed : changedPaths(sectionsOf(before.twin), sectionsOf(twin));
  const fresh = new Set(paths);
  const kept = (before?.changes ?? []).filter((change) => !fresh.has(change.path));
  const changes = [...paths.map((path) => ({ path, at: now })), ...kept].slice(0, KEPT_CHANGES);
  return { ...twins, [twin.deviceId]: { twin, changes } };
}

/** The answer of a read may be older than an event that overtook it. */
export function applyTwinRead(twins: Twins, twin: TwinView, now: number): Twins {
  const before = twins[twin.deviceId];
  if (before && before.twin.version > twin.version) return twins;
  return applyTwin(twins, twin, [], now);
}

export function forgetTwin(twins: Twins, deviceId: string): Twins {
  const { [deviceId]: _, ...rest } = twins;
  return rest;
}

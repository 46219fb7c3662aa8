import type { MethodCall } from "../ipc";

/** Calls by device, newest first. */
export type Calls = Record<string, MethodCall[]>;

const KEPT_CALLS = 200;

export function applyCall(calls: Calls, call: MethodCall): Calls {
  const list = calls[call.deviceId] ?? [];
  const index = list.findIndex((known) => known.id === call.id);
  if (index >= 0) {
    // A call that has ended does not run again: a late event about its start is old news.
    if (list[index]?.durationMs !== null && call.durationMs === null) return calls;
    return { ...calls, [call.deviceId]: list.with(index, call) };
  }
  const next = [call, ...list].sort((a, b) => b.id - a.id).slice(0, KEPT_CALLS);
  return { ...calls, [call.deviceId]: next };
}

export const applyCallList = (calls: Calls, list: MethodCall[]): Calls => list.reduce(applyCall, calls);

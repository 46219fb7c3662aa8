import { useCallback, useSyncExternalStore } from "react";

type Clock = { now: number; listeners: Set<() => void>; timer: ReturnType<typeof setInterval> | undefined };
const clocks = new Map<number, Clock>();

function clockFor(interval: number): Clock {
  let clock = clocks.get(interval);
  if (!clock) {
    clock = { now: Date.now(), listeners: new Set(), timer: undefined };
    clocks.set(interval, clock);
  }
  return clock;
}

function listen(interval: number, listener: () => void): () => void {
  const clock = clockFor(interval);
  clock.listeners.add(listener);
  clock.timer ??= setInterval(() => {
    clock.now = Date.now();
    for (const tell of clock.listeners) tell();
  }, interval);
  return () => {
    clock.listeners.delete(listener);
    if (clock.listeners.size > 0) return;
    clearInterval(clock.timer);
    clock.timer = undefined;
  };
}

function read(interval: number): number {
  const clock = clockFor(interval);
  // A clock nobody listened to stood still.
  if (clock.timer === undefined && Date.now() - clock.now > interval) clock.now = Date.now();
  return clock.now;
}

/** The time, renewed every `interval` ms; one timer for all who ask for the same interval. */
export function useNow(interval: number): number {
  const subscribe = useCallback((listener: () => void) => listen(interval, listener), [interval]);
  return useSyncExternalStore(subscribe, () => read(interval));
}

import { useCallback, useEffect, useRef } from "react";
import { useTask } from "../../lib/use-task";
import { readTwin, unwatchTwin, useActiveHub, useStore, watchTwin } from "../../store/store";

/** Keeps the device's twin watched while its page is open, whichever tab is looked at: so its history has no holes. */
export function useWatchedTwin(deviceId: string) {
  const hubId = useActiveHub()?.hub.id ?? "";
  const readings = useStore((model) => model.readings);
  const { error, run } = useTask();

  useEffect(() => {
    void run(() => watchTwin(deviceId));
    return () => unwatchTwin(deviceId);
  }, [deviceId, hubId, run]);

  // After a reset the events in between are lost.
  const seen = useRef(readings);
  useEffect(() => {
    if (seen.current === readings) return;
    seen.current = readings;
    void run(() => readTwin(deviceId));
  }, [readings, deviceId, run]);

  const retry = useCallback(() => void run(() => watchTwin(deviceId)), [deviceId, run]);
  return { error, retry };
}

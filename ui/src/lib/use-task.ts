import { useCallback, useState } from "react";
import { type AppError, toAppError } from "../ipc";

/** A button's work: runs once at a time, and keeps what went wrong for the screen to say. */
export function useTask() {
  const [running, setRunning] = useState(false);
  const [error, setError] = useState<AppError | null>(null);
  const run = useCallback(async <T>(work: () => Promise<T>): Promise<T | undefined> => {
    setRunning(true);
    setError(null);
    try {
      return await work();
    } catch (thrown) {
      setError(toAppError(thrown));
      return undefined;
    } finally {
      setRunning(false);
    }
  }, []);
  return { running, error, setError, run };
}

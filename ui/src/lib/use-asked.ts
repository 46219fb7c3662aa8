import { useCallback, useState } from "react";
import { type AppError, toAppError } from "../ipc";
import { makeQueue } from "./in-order";

/**
 * A value that is changed elsewhere: shows what was asked for until it is so, one change after
 * the other, so that a quick hand never undoes its own last change. `change` must be stable.
 */
export function useAsked<T>(now: T, change: (next: T) => Promise<unknown>) {
  const [inOrder] = useState(makeQueue);
  const [asked, setAsked] = useState<{ value: T } | null>(null);
  const [error, setError] = useState<AppError | null>(null);
  const ask = useCallback(
    (value: T) => {
      const mine = { value };
      setAsked(mine);
      setError(null);
      inOrder(() => change(value))
        .catch((thrown: unknown) => setError(toAppError(thrown)))
        .finally(() => setAsked((latest) => (latest === mine ? null : latest)));
    },
    [change, inOrder],
  );
  return { value: asked ? asked.value : now, ask, error, setError };
}

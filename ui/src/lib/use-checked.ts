import { useEffect, useState } from "react";

const PAUSE = 250;

/** What `check` says of the text, a moment after the typing stops; null until it has answered for it. `check` must be stable. */
export function useChecked<R>(text: string, check: (text: string) => Promise<R>): R | null {
  const [answer, setAnswer] = useState<{ text: string; result: R } | null>(null);
  useEffect(() => {
    let current = true;
    const timer = setTimeout(() => {
      check(text).then(
        (result) => current && setAnswer({ text, result }),
        // Saving says what is wrong; a check that fails marks nothing.
        () => undefined,
      );
    }, PAUSE);
    return () => {
      current = false;
      clearTimeout(timer);
    };
  }, [text, check]);
  return answer?.text === text ? answer.result : null;
}

import { useEffect, useState } from "react";
import { type ConnectionStringCheck, ipc } from "../../ipc";

const PAUSE = 200;

/** What the backend makes of the text, a moment after the typing stops. */
export function useCheck(text: string): ConnectionStringCheck | null {
  // The text itself is not kept beside the answer, so that dropping it from the form drops it here.
  const [check, setCheck] = useState<ConnectionStringCheck | null>(null);
  useEffect(() => {
    if (text.trim() === "") return;
    let current = true;
    const timer = setTimeout(() => {
      ipc
        .checkConnectionString(text)
        .then((answer) => current && setCheck(answer))
        // Connecting itself tells what is wrong when even the check cannot be asked for.
        .catch(() => current && setCheck(null));
    }, PAUSE);
    return () => {
      current = false;
      clearTimeout(timer);
      setCheck(null);
    };
  }, [text]);
  return check;
}

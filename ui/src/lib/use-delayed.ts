import { useEffect, useState } from "react";

/** True once `active` has held for `delay` ms: skeletons show only for what is slow. */
export function useDelayed(active: boolean, delay = 200): boolean {
  const [passed, setPassed] = useState(false);
  useEffect(() => {
    if (!active) return;
    const timer = setTimeout(() => setPassed(true), delay);
    return () => {
      clearTimeout(timer);
      setPassed(false);
    };
  }, [active, delay]);
  return active && passed;
}

import { makeStyles, mergeClasses } from "@fluentui/react-components";
import { type ReactNode, useEffect, useRef } from "react";
import { isBustling } from "../lib/bustle";
import { reducedMotion } from "../lib/use-media";

const useStyles = makeStyles({
  root: { display: "inline-flex", alignItems: "center", minWidth: 0, borderRadius: "4px", padding: "1px 4px", margin: "0 -4px" },
});

/**
 * Lights up for a second when `value` of the thing called `of` becomes another, not when it first
 * appears, nor when everything changes at once.
 */
export function Glow({ of, value, children, className }: { of: string; value: unknown; children: ReactNode; className?: string }) {
  const styles = useStyles();
  const ref = useRef<HTMLSpanElement>(null);
  const before = useRef({ of, value });
  useEffect(() => {
    const last = before.current;
    before.current = { of, value };
    if (last.of !== of || Object.is(last.value, value)) return;
    if (reducedMotion() || isBustling(Date.now())) return;
    ref.current?.animate(
      [{ backgroundColor: "color-mix(in srgb, var(--colorBrandBackground) 20%, transparent)" }, { backgroundColor: "transparent" }],
      { duration: 1000, easing: "ease-out" },
    );
  }, [of, value]);
  return (
    <span ref={ref} className={mergeClasses(styles.root, className)}>
      {children}
    </span>
  );
}

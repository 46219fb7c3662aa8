import { makeStyles, mergeClasses } from "@fluentui/react-components";
import type { SimulatedState } from "../../ipc";
import { colourOf, SHAPE, shapes } from "./shapes";

const useStyles = makeStyles({ root: { flexShrink: 0, display: "block" } });

/** The state of a simulated device, told apart without colour; the same drawing as in the grid. */
export function StateMark({ state, size = 12, className }: { state: SimulatedState; size?: number; className?: string }) {
  const styles = useStyles();
  const { path, filled } = shapes[state];
  return (
    <svg width={size} height={size} viewBox={`0 0 ${SHAPE} ${SHAPE}`} aria-hidden className={mergeClasses(styles.root, className)}>
      <path
        d={path}
        fill={filled ? colourOf[state] : "none"}
        stroke={filled ? "none" : colourOf[state]}
        strokeWidth={filled ? 0 : 2}
        strokeLinecap="round"
      />
    </svg>
  );
}

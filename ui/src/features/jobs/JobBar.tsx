import { makeStyles, mergeClasses, tokens } from "@fluentui/react-components";
import type { Job } from "../../ipc";
import { stateLooks } from "./states";

const useStyles = makeStyles({
  root: {
    display: "flex",
    gap: "1px",
    height: "8px",
    minWidth: 0,
    borderRadius: tokens.borderRadiusMedium,
    overflow: "hidden",
    backgroundColor: tokens.colorNeutralBackground4,
    boxShadow: `inset 0 0 0 1px ${tokens.colorNeutralStroke2}`,
  },
  large: { height: "14px", gap: "2px" },
  part: { minWidth: "3px", flexBasis: 0, transitionProperty: "flex-grow", transitionDuration: "200ms", "@media (prefers-reduced-motion: reduce)": { transitionDuration: "0ms" } },
  /** Told apart without colour: failures are hatched, what was cancelled is barred, what waits is empty. */
  hatched: { backgroundImage: `repeating-linear-gradient(135deg, transparent 0 4px, ${tokens.colorNeutralBackground1} 4px 6px)` },
  barred: { backgroundImage: `repeating-linear-gradient(90deg, transparent 0 2px, ${tokens.colorNeutralBackground1} 2px 6px)` },
});

const order = [
  ["completed", "succeeded"],
  ["failed", "failed"],
  ["unknown", "unknown"],
  ["cancelled", "cancelled"],
  ["running", "running"],
] as const;

/** Succeeded, failed, running, waiting; the text beside it says the same. */
export function JobBar({ job, large = false }: { job: Job; large?: boolean }) {
  const styles = useStyles();
  return (
    <div className={mergeClasses(styles.root, large && styles.large)} aria-hidden>
      {order.map(([state, count]) =>
        job[count] === 0 ? null : (
          <span
            key={state}
            className={mergeClasses(styles.part, (state === "failed" || state === "unknown") && styles.hatched, state === "cancelled" && styles.barred)}
            style={{ flexGrow: job[count], backgroundColor: stateLooks[state].colour }}
          />
        ),
      )}
      {job.enqueued === 0 ? null : <span className={styles.part} style={{ flexGrow: job.enqueued }} />}
    </div>
  );
}

import { makeStyles, tokens } from "@fluentui/react-components";
import { useTranslation } from "react-i18next";
import type { LocalHubStatus } from "../ipc";

const useStyles = makeStyles({
  root: { display: "inline-flex", alignItems: "center", gap: "6px", whiteSpace: "nowrap", fontWeight: tokens.fontWeightRegular },
  running: { color: tokens.colorPaletteGreenForeground1 },
  starting: { color: tokens.colorBrandForeground1 },
  stopped: { color: tokens.colorNeutralForeground3 },
  failed: { color: tokens.colorPaletteRedForeground1 },
});

/** Filled when it runs, half when it starts, a ring when it is off, a cross when it failed. */
export function LocalHubDot({ status }: { status: LocalHubStatus }) {
  const styles = useStyles();
  const { t } = useTranslation();
  return (
    <span className={styles.root} data-testid="local-hub-state" data-status={status}>
      <svg width="10" height="10" viewBox="0 0 10 10" aria-hidden className={styles[status]}>
        {status === "failed" ? (
          <path d="M1.5 1.5l7 7m0-7l-7 7" stroke="currentColor" strokeWidth="2" />
        ) : (
          <circle cx="5" cy="5" r="4" fill={status === "running" ? "currentColor" : "none"} stroke="currentColor" strokeWidth="1.5" />
        )}
        {status === "starting" ? <path d="M5 1a4 4 0 0 1 0 8z" fill="currentColor" /> : null}
      </svg>
      {t(`localHub.short.${status}`)}
    </span>
  );
}

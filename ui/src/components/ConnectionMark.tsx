import { makeStyles, tokens } from "@fluentui/react-components";
import { useTranslation } from "react-i18next";

const useStyles = makeStyles({
  root: { display: "inline-flex", alignItems: "center", gap: "6px", whiteSpace: "nowrap" },
  on: { color: tokens.colorPaletteGreenForeground1 },
  off: { color: tokens.colorNeutralForeground3 },
});

/** Connected is a filled disc, disconnected a ring with a stroke through it: told apart without colour. */
export function ConnectionMark({ connected }: { connected: boolean }) {
  const styles = useStyles();
  const { t } = useTranslation();
  return (
    <span className={styles.root}>
      <svg width="12" height="12" viewBox="0 0 12 12" aria-hidden className={connected ? styles.on : styles.off}>
        {connected ? (
          <circle cx="6" cy="6" r="5" fill="currentColor" />
        ) : (
          <>
            <circle cx="6" cy="6" r="4.25" fill="none" stroke="currentColor" strokeWidth="1.5" />
            <path d="M3 9 9 3" stroke="currentColor" strokeWidth="1.5" />
          </>
        )}
      </svg>
      {connected ? t("connection.connected") : t("connection.disconnected")}
    </span>
  );
}

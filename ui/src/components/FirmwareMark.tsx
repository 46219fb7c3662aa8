import { makeStyles, mergeClasses, tokens } from "@fluentui/react-components";
import { ArrowDownloadRegular } from "@fluentui/react-icons/svg/arrow-download";
import { ArrowSyncRegular } from "@fluentui/react-icons/svg/arrow-sync";
import { CheckmarkCircleRegular } from "@fluentui/react-icons/svg/checkmark-circle";
import { HourglassHalfRegular } from "@fluentui/react-icons/svg/hourglass-half";
import { InfoRegular } from "@fluentui/react-icons/svg/info";
import type { ReactElement } from "react";
import { useTranslation } from "react-i18next";

const useStyles = makeStyles({
  root: { display: "inline-flex", alignItems: "center", gap: "6px", whiteSpace: "nowrap", minWidth: 0 },
  icon: { fontSize: "16px", display: "inline-flex" },
  busy: { color: tokens.colorBrandForeground1 },
  done: { color: tokens.colorPaletteGreenForeground1 },
  none: { color: tokens.colorNeutralForeground3 },
});

const known: Record<string, { icon: ReactElement; tone: "busy" | "done" }> = {
  standby: { icon: <HourglassHalfRegular />, tone: "busy" },
  downloading: { icon: <ArrowDownloadRegular />, tone: "busy" },
  applying: { icon: <ArrowSyncRegular />, tone: "busy" },
  completed: { icon: <CheckmarkCircleRegular />, tone: "done" },
};

/** The firmware status in the device's own word, as it would be searched for in its code. */
export function FirmwareMark({ status }: { status: string | null }) {
  const styles = useStyles();
  const { t } = useTranslation();
  if (status === null) {
    return (
      <span className={styles.none} title={t("firmware.none")} aria-label={t("firmware.none")}>
        {"–"}
      </span>
    );
  }
  const look = known[status.toLowerCase()];
  return (
    <span className={styles.root}>
      <span className={mergeClasses(styles.icon, look && styles[look.tone])} aria-hidden>
        {look?.icon ?? <InfoRegular />}
      </span>
      {status}
    </span>
  );
}

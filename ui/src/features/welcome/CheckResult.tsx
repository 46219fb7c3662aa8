import { makeStyles, mergeClasses, Text, tokens } from "@fluentui/react-components";
import { CheckmarkCircleRegular } from "@fluentui/react-icons/svg/checkmark-circle";
import { ErrorCircleRegular } from "@fluentui/react-icons/svg/error-circle";
import { useTranslation } from "react-i18next";
import type { ConnectionStringCheck } from "../../ipc";

const useStyles = makeStyles({
  root: { display: "flex", gap: "8px", alignItems: "flex-start", minHeight: "20px" },
  body: { display: "flex", flexDirection: "column", gap: "4px", minWidth: 0 },
  icon: { fontSize: "20px", flexShrink: 0 },
  wrong: { color: tokens.colorPaletteRedForeground1 },
  right: { color: tokens.colorPaletteGreenForeground1 },
  code: { fontFamily: tokens.fontFamilyMonospace, overflowWrap: "anywhere", color: tokens.colorNeutralForeground3 },
});

/** Which part is wrong, or whose string it is and what it will be able to do. */
export function CheckResult({ check }: { check: ConnectionStringCheck | null }) {
  const styles = useStyles();
  const { t } = useTranslation();
  return (
    <div aria-live="polite" data-testid="connection-check" data-problem={check?.problem?.part}>
      {check?.problem ? (
        <div className={styles.root}>
          <ErrorCircleRegular className={mergeClasses(styles.icon, styles.wrong)} aria-hidden />
          <div className={styles.body}>
            <Text>
              <Text weight="semibold">{check.problem.part}</Text>: {check.problem.message}
            </Text>
          </div>
        </div>
      ) : null}
      {check && !check.problem ? (
        <div className={styles.root}>
          <CheckmarkCircleRegular className={mergeClasses(styles.icon, styles.right)} aria-hidden />
          <div className={styles.body}>
            <Text weight="semibold">{t("welcome.connect.policy", { policy: check.policy ?? "", host: check.hostName ?? "" })}</Text>
            {check.rights.length > 0 ? (
              <Text size={200}>{t("welcome.connect.rights", { rights: check.rights.join(", ") })}</Text>
            ) : (
              <Text size={200}>{t("welcome.connect.rightsUnknown")}</Text>
            )}
            {check.redacted ? (
              <Text size={200} className={styles.code}>
                {check.redacted}
              </Text>
            ) : null}
          </div>
        </div>
      ) : null}
    </div>
  );
}

import { Button, makeStyles, MessageBar, MessageBarActions, MessageBarBody } from "@fluentui/react-components";
import { DismissRegular } from "@fluentui/react-icons/svg/dismiss";
import { useTranslation } from "react-i18next";
import { copyText } from "../../lib/clipboard";
import { tell, useUi } from "../../store/ui";

const SHOWN = 3;

const useStyles = makeStyles({ list: { margin: "4px 0 0", paddingLeft: "18px" } });

/** What came of the last thing done to many devices; stays until it is put away. */
export function NoticeBar() {
  const styles = useStyles();
  const { t } = useTranslation();
  const notice = useUi((ui) => ui.notice);
  if (!notice) return null;
  const { failures } = notice;
  return (
    <MessageBar intent={failures.length > 0 ? "warning" : "success"} layout={failures.length > 0 ? "multiline" : "auto"} data-testid="notice">
      <MessageBarBody>
        {notice.text}
        {failures.length > 0 ? (
          <ul className={styles.list}>
            {failures.slice(0, SHOWN).map((failure) => (
              <li key={failure.deviceId}>{t("devices.failureLine", { id: failure.deviceId, message: failure.message })}</li>
            ))}
            {failures.length > SHOWN ? <li>{t("devices.moreFailures", { count: failures.length - SHOWN })}</li> : null}
          </ul>
        ) : null}
      </MessageBarBody>
      <MessageBarActions
        containerAction={
          <Button appearance="transparent" size="small" icon={<DismissRegular />} aria-label={t("common.dismiss")} onClick={() => tell(null)} />
        }
      >
        {failures.length > 0 ? (
          <Button size="small" onClick={() => void copyText(failures.map((failure) => `${failure.deviceId}\t${failure.message}`).join("\n"))}>
            {t("common.copyDetails")}
          </Button>
        ) : null}
      </MessageBarActions>
    </MessageBar>
  );
}

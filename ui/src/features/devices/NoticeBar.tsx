import { Button, makeStyles, MessageBar, MessageBarActions, MessageBarBody, tokens } from "@fluentui/react-components";
import { DismissRegular } from "@fluentui/react-icons/svg/dismiss";
import { useTranslation } from "react-i18next";
import { copyText } from "../../lib/clipboard";
import { tell, useUi } from "../../store/ui";

const SHOWN = 3;

const useStyles = makeStyles({
  list: { margin: "4px 0 0", paddingLeft: "18px" },
  // Above the list, not in it: what comes and goes by itself must not move a row under the pointer.
  floating: { position: "absolute", left: "20px", bottom: "16px", zIndex: 1, maxWidth: "calc(100% - 40px)", boxShadow: tokens.shadow16 },
});

/** What came of the last thing done to many devices. */
export function NoticeBar() {
  const styles = useStyles();
  const { t } = useTranslation();
  const notice = useUi((ui) => ui.notice);
  if (!notice) return null;
  const { failures } = notice;
  return (
    <MessageBar className={failures.length > 0 ? undefined : styles.floating} intent={failures.length > 0 ? "warning" : "success"} layout={failures.length > 0 ? "multiline" : "auto"} data-testid="notice">
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

import { Button, makeStyles, MessageBar, MessageBarBody, Spinner, Switch } from "@fluentui/react-components";
import { DesktopRegular } from "@fluentui/react-icons/svg/desktop";
import { PlayRegular } from "@fluentui/react-icons/svg/play";
import { StopFilled } from "@fluentui/react-icons/svg/stop";
import { useTranslation } from "react-i18next";
import { ErrorBar } from "../../components/ErrorBar";
import { LocalHubDot } from "../../components/LocalHubDot";
import { PageHeader } from "../../components/PageHeader";
import { StatePanel } from "../../components/StatePanel";
import { useTask } from "../../lib/use-task";
import { setLocalLimits, startLocalHub, stopLocalHub, useStore } from "../../store/store";
import { Addresses, Authority } from "./Addresses";
import { ConnectionStrings } from "./ConnectionStrings";
import { Counters } from "./Counters";
import { ProtocolLog } from "./ProtocolLog";

const useStyles = makeStyles({
  root: { overflow: "auto", flexGrow: 1 },
  body: { padding: "0 20px 24px", display: "flex", flexDirection: "column", gap: "16px", maxWidth: "1200px" },
  columns: { display: "grid", gridTemplateColumns: "repeat(auto-fit, minmax(min(100%, 380px), 1fr))", gap: "16px", alignItems: "start" },
  column: { display: "flex", flexDirection: "column", gap: "16px", minWidth: 0 },
});

export function LocalHubPage() {
  const styles = useStyles();
  const { t } = useTranslation();
  const hub = useStore((model) => model.app?.localHub);
  const limits = useStore((model) => model.app?.settings.localLimits ?? false);
  const { running, error, run } = useTask();
  if (!hub) return null;
  const runs = hub.status === "running";
  const busy = running || hub.status === "starting";
  return (
    <div className={styles.root}>
      <PageHeader title={t("nav.localHub")} sub={t("localHub.sub")}>
        {runs ? (
          <Button icon={<StopFilled />} disabled={busy} onClick={() => void run(stopLocalHub)} data-testid="stop-local-hub">
            {t("localHub.stop")}
          </Button>
        ) : (
          <Button
            appearance="primary"
            icon={busy ? <Spinner size="tiny" /> : <PlayRegular />}
            disabled={busy}
            onClick={() => void run(startLocalHub)}
            data-testid="start-local-hub"
          >
            {busy ? t("localHub.starting") : t("localHub.start")}
          </Button>
        )}
      </PageHeader>
      <div className={styles.body}>
        <div role="status">
          <LocalHubDot status={hub.status} />
        </div>
        <Switch
          checked={limits}
          disabled={busy}
          onChange={(_, data) => void run(() => setLocalLimits(data.checked))}
          label={t(runs ? "localHub.limitsRestart" : "localHub.limits")}
          data-testid="local-limits"
        />
        <ErrorBar error={error ?? hub.error} what={t(runs ? "errors.localHub" : "errors.localHubStart")} />
        {hub.note && runs ? (
          <MessageBar intent="info" layout="multiline">
            <MessageBarBody>{hub.note}</MessageBarBody>
          </MessageBar>
        ) : null}
        {runs ? (
          <>
            <Counters />
            <div className={styles.columns}>
              <div className={styles.column}>
                <Addresses hub={hub} />
                <ConnectionStrings />
              </div>
              <Authority file={hub.caFile} />
            </div>
            <ProtocolLog />
          </>
        ) : (
          <>
            {hub.status === "stopped" ? <StatePanel icon={<DesktopRegular />} title={t("localHub.off")} text={t("localHub.offText")} /> : null}
            <Addresses hub={hub} />
          </>
        )}
      </div>
    </div>
  );
}

import { Button, makeStyles, MessageBar, MessageBarBody, Spinner, tokens } from "@fluentui/react-components";
import { CopyRegular } from "@fluentui/react-icons/svg/copy";
import { PlayRegular } from "@fluentui/react-icons/svg/play";
import { StopRegular } from "@fluentui/react-icons/svg/stop";
import { useTranslation } from "react-i18next";
import { ErrorBar } from "../../components/ErrorBar";
import { LocalHubDot } from "../../components/LocalHubDot";
import { PageHeader } from "../../components/PageHeader";
import { ipc } from "../../ipc";
import { copyText } from "../../lib/clipboard";
import { useTask } from "../../lib/use-task";
import { startLocalHub, stopLocalHub, useStore } from "../../store/store";

const useStyles = makeStyles({
  root: { overflow: "auto", flexGrow: 1, maxWidth: "820px" },
  body: { padding: "0 20px 24px", display: "flex", flexDirection: "column", gap: "14px" },
  facts: { display: "grid", gridTemplateColumns: "minmax(120px, auto) minmax(0, 1fr) auto", margin: 0, alignItems: "center" },
  term: { color: tokens.colorNeutralForeground2, padding: "6px 24px 6px 0", minHeight: "32px", display: "flex", alignItems: "center" },
  fact: { margin: 0, fontFamily: tokens.fontFamilyMonospace, fontSize: tokens.fontSizeBase200, overflowWrap: "anywhere" },
});

export function LocalHubPage() {
  const styles = useStyles();
  const { t } = useTranslation();
  const hub = useStore((model) => model.app?.localHub);
  const isOpen = useStore((model) => model.app?.active?.hub.kind === "local");
  const { running, error, run } = useTask();
  const copy = useTask();
  if (!hub) return null;
  const runs = hub.status === "running";
  const busy = running || hub.status === "starting";
  const facts = [
    ["host", hub.hostName],
    ["mqtt", t("localHub.mqttAddress", { host: hub.hostName, port: String(hub.mqttPort) })],
    ["https", t("localHub.httpsAddress", { host: hub.hostName, port: String(hub.httpsPort) })],
    ["ca", hub.caFile],
    ["data", hub.dataDir],
  ] as const;
  return (
    <div className={styles.root}>
      <PageHeader title={t("nav.localHub")} sub={t("localHub.sub")}>
        {runs ? (
          <Button icon={<StopRegular />} disabled={busy} onClick={() => void run(stopLocalHub)} data-testid="stop-local-hub">
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
        <ErrorBar error={error ?? hub.error} what={t("errors.localHub")} />
        {hub.note ? (
          <MessageBar intent="info" layout="multiline">
            <MessageBarBody>{hub.note}</MessageBarBody>
          </MessageBar>
        ) : null}
        <dl className={styles.facts}>
          {facts.map(([key, value]) =>
            value === "" || (!runs && (key === "mqtt" || key === "https" || key === "host")) ? null : (
              <Fact key={key} name={t(`localHub.facts.${key}`)} value={value} />
            ),
          )}
        </dl>
        {isOpen ? (
          <>
            <div>
              <Button icon={<CopyRegular />} disabled={copy.running} onClick={() => void copy.run(() => ipc.copyConnectionString(null))}>
                {t("localHub.copyService")}
              </Button>
            </div>
            <ErrorBar error={copy.error} what={t("errors.copy")} />
          </>
        ) : null}
      </div>
    </div>
  );
}

function Fact({ name, value }: { name: string; value: string }) {
  const styles = useStyles();
  const { t } = useTranslation();
  return (
    <>
      <dt className={styles.term}>{name}</dt>
      <dd className={styles.fact}>{value}</dd>
      <Button
        size="small"
        appearance="subtle"
        icon={<CopyRegular />}
        aria-label={t("common.copyNamed", { name })}
        onClick={() => void copyText(value)}
      />
    </>
  );
}

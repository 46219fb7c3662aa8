import { Button, makeStyles, MessageBar, MessageBarBody, Spinner, Subtitle2, Text, tokens } from "@fluentui/react-components";
import { CopyRegular } from "@fluentui/react-icons/svg/copy";
import { PlayRegular } from "@fluentui/react-icons/svg/play";
import { StopFilled } from "@fluentui/react-icons/svg/stop";
import { useTranslation } from "react-i18next";
import { ErrorBar } from "../../components/ErrorBar";
import { LocalHubDot } from "../../components/LocalHubDot";
import { PageHeader } from "../../components/PageHeader";
import { ipc } from "../../ipc";
import { copyText } from "../../lib/clipboard";
import { useTask } from "../../lib/use-task";
import { startLocalHub, stopLocalHub, useStore } from "../../store/store";

const useStyles = makeStyles({
  root: { overflow: "auto", flexGrow: 1 },
  body: { padding: "0 20px 24px", display: "flex", flexDirection: "column", gap: "14px", maxWidth: "900px" },
  facts: { display: "grid", gridTemplateColumns: "minmax(140px, max-content) minmax(0, max-content) auto", columnGap: "8px", justifyContent: "start", margin: 0, alignItems: "center" },
  own: { marginTop: "12px" },
  note: { color: tokens.colorNeutralForeground2 },
  term: { color: tokens.colorNeutralForeground2, padding: "2px 16px 2px 0", minHeight: "32px", display: "flex", alignItems: "center" },
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
        <ErrorBar error={error ?? hub.error} what={t(runs ? "errors.localHub" : "errors.localHubStart")} />
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
              <Button
                icon={<CopyRegular />}
                disabled={copy.running}
                onClick={() => void copy.run(() => ipc.copyConnectionString(null))}
                data-testid="copy-service-connection-string"
              >
                {t("localHub.copyService")}
              </Button>
            </div>
            <ErrorBar error={copy.error} what={t("errors.copy")} />
            <section aria-labelledby="own-code">
              <Subtitle2 as="h2" id="own-code" block className={styles.own}>
                {t("localHub.own.title")}
              </Subtitle2>
              <Text className={styles.note}>{t("localHub.own.text")}</Text>
              <dl className={styles.facts}>
                <Fact name={t("localHub.own.python")} value={`SSL_CERT_FILE=${hub.caFile}`} />
                <Fact name={t("localHub.own.node")} value={`NODE_EXTRA_CA_CERTS=${hub.caFile}`} />
              </dl>
            </section>
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

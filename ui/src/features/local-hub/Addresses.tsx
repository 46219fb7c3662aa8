import { Button, makeStyles, Text, tokens } from "@fluentui/react-components";
import { ArrowDownloadRegular } from "@fluentui/react-icons/svg/arrow-download";
import { CopyRegular } from "@fluentui/react-icons/svg/copy";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { ErrorBar } from "../../components/ErrorBar";
import { Section } from "../../components/Section";
import { ipc, type LocalHubState } from "../../ipc";
import { copyText } from "../../lib/clipboard";
import { useTask } from "../../lib/use-task";

const useStyles = makeStyles({
  facts: { display: "grid", gridTemplateColumns: "130px minmax(0, 1fr) auto", columnGap: "8px", margin: 0, alignItems: "center" },
  term: { color: tokens.colorNeutralForeground2, padding: "2px 8px 2px 0", minHeight: "32px", display: "flex", alignItems: "center" },
  fact: { margin: 0, fontFamily: tokens.fontFamilyMonospace, fontSize: tokens.fontSizeBase200, overflowWrap: "anywhere" },
  save: { alignSelf: "flex-start" },
});

/** Where the hub is. Of a hub that is off only its folder is told. */
export function Addresses({ hub }: { hub: LocalHubState }) {
  const styles = useStyles();
  const { t } = useTranslation();
  return (
    <Section title={t("localHub.addresses")}>
      <dl className={styles.facts}>
        {hub.status === "running" ? (
          <>
            <Fact name={t("localHub.facts.host")} value={hub.hostName} />
            <Fact name={t("localHub.facts.mqtt")} value={t("localHub.mqttAddress", { host: hub.hostName, port: String(hub.mqttPort) })} />
            <Fact name={t("localHub.facts.https")} value={t("localHub.httpsAddress", { host: hub.hostName, port: String(hub.httpsPort) })} />
          </>
        ) : null}
        <Fact name={t("localHub.facts.data")} value={hub.dataDir} />
      </dl>
    </Section>
  );
}

/** What a client needs to trust the hub. */
export function Authority({ file }: { file: string }) {
  const styles = useStyles();
  const { t } = useTranslation();
  const { running, error, run } = useTask();
  const [saved, setSaved] = useState<string | null>(null);
  const save = () =>
    run(async () => {
      setSaved(null);
      setSaved(await ipc.exportCa());
    });
  return (
    <Section title={t("localHub.ca.title")} text={t("localHub.ca.text")}>
      <dl className={styles.facts}>
        <Fact name={t("localHub.facts.ca")} value={file} />
        <Fact name={t("localHub.ca.python")} value={`SSL_CERT_FILE=${file}`} />
        <Fact name={t("localHub.ca.node")} value={`NODE_EXTRA_CA_CERTS=${file}`} />
      </dl>
      <Button className={styles.save} icon={<ArrowDownloadRegular />} disabled={running} onClick={() => void save()} data-testid="export-ca">
        {t("localHub.ca.save")}
      </Button>
      <div role="status">{saved === null ? null : <Text size={200}>{t("localHub.ca.saved", { file: saved })}</Text>}</div>
      <ErrorBar error={error} what={t("errors.saveCa")} />
    </Section>
  );
}

function Fact({ name, value }: { name: string; value: string }) {
  const styles = useStyles();
  const { t } = useTranslation();
  if (value === "") return null;
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

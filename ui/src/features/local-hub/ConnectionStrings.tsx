import { Button, makeStyles, Text } from "@fluentui/react-components";
import { CopyRegular } from "@fluentui/react-icons/svg/copy";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { ErrorBar } from "../../components/ErrorBar";
import { Section } from "../../components/Section";
import { ipc } from "../../ipc";
import { useTask } from "../../lib/use-task";
import { DevicePicker } from "./DevicePicker";

const useStyles = makeStyles({
  row: { display: "flex", gap: "8px", alignItems: "end", flexWrap: "wrap" },
  start: { alignSelf: "flex-start" },
});

/** Copied by the backend: no key ever comes here. */
export function ConnectionStrings() {
  const styles = useStyles();
  const { t } = useTranslation();
  const { running, error, run } = useTask();
  const [device, setDevice] = useState("");
  const [copied, setCopied] = useState<string | null>(null);
  const copy = (id: string | null) =>
    run(async () => {
      setCopied(null);
      await ipc.copyLocalConnectionString(id);
      setCopied(id === null ? t("localHub.strings.serviceCopied") : t("localHub.strings.deviceOf", { id }));
    });
  return (
    <Section title={t("localHub.strings.title")} text={t("localHub.strings.text")}>
      <Button
        className={styles.start}
        icon={<CopyRegular />}
        disabled={running}
        onClick={() => void copy(null)}
        data-testid="copy-service-connection-string"
      >
        {t("localHub.strings.service")}
      </Button>
      <div className={styles.row}>
        <DevicePicker
          label={t("localHub.strings.pick")}
          hint={t("localHub.strings.pickHint")}
          value={device}
          onPick={setDevice}
          testId="connection-string-device"
        />
        <Button
          icon={<CopyRegular />}
          disabled={running || device === ""}
          onClick={() => void copy(device)}
          data-testid="copy-device-connection-string"
        >
          {t("localHub.strings.device")}
        </Button>
      </div>
      <div role="status">{copied === null ? null : <Text size={200}>{copied}</Text>}</div>
      <ErrorBar error={error} what={t("errors.copy")} />
    </Section>
  );
}

import { makeStyles, Text, tokens } from "@fluentui/react-components";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate } from "react-router";
import { FormDialog } from "../../components/FormDialog";
import { HubNameField, useHubName } from "../../components/HubNameField";
import { packageIsChosen, PackageField } from "../../components/PackageField";
import type { PackageSource } from "../../ipc";
import { useTask } from "../../lib/use-task";
import { startUpdate, useStore } from "../../store/store";

const useStyles = makeStyles({ note: { color: tokens.colorNeutralForeground2 } });

export function UpdateWizard({ deviceIds, onClose }: { deviceIds: string[]; onClose: () => void }) {
  const styles = useStyles();
  const { t } = useTranslation();
  const navigate = useNavigate();
  const rows = useStore((model) => model.devices.rows);
  const [source, setSource] = useState<PackageSource | null>(null);
  const name = useHubName();
  const { running, error, run } = useTask();
  const count = deviceIds.length;
  const offline = deviceIds.filter((id) => rows.get(id)?.connected === false).length;

  const begin = () =>
    void run(async () => {
      if (!source) return;
      const update = await startUpdate(deviceIds, source);
      onClose();
      void navigate(`/updates/${update.id}`);
    });

  return (
    <FormDialog
      title={t("updates.wizardTitle", { count })}
      submit={t("updates.start", { count })}
      submitTestId="start-update"
      canSubmit={packageIsChosen(source) && name.named}
      running={running}
      error={error}
      onSubmit={begin}
      onClose={onClose}
    >
      <Text className={styles.note}>{t("updates.wizardText")}</Text>
      <PackageField value={source} onChange={setSource} />
      {offline > 0 ? <Text>{t("updates.offline", { count: offline })}</Text> : null}
      <HubNameField name={name} />
    </FormDialog>
  );
}

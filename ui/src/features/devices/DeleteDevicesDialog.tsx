import { makeStyles, Text, tokens } from "@fluentui/react-components";
import { useTranslation } from "react-i18next";
import { useNavigate } from "react-router";
import { FormDialog } from "../../components/FormDialog";
import { HubNameField, useHubName } from "../../components/HubNameField";
import { ipc } from "../../ipc";
import { useTask } from "../../lib/use-task";
import { useActiveHub, useStore } from "../../store/store";
import { select, tell, useUi } from "../../store/ui";

const SHOWN = 6;

const useStyles = makeStyles({
  ids: { fontFamily: tokens.fontFamilyMonospace, fontSize: tokens.fontSizeBase200, overflowWrap: "anywhere", color: tokens.colorNeutralForeground2 },
});

export function DeleteDevicesDialog({ deviceIds, onClose }: { deviceIds: string[]; onClose: () => void }) {
  const styles = useStyles();
  const { t } = useTranslation();
  const navigate = useNavigate();
  const hub = useActiveHub()?.hub;
  const name = useHubName();
  const { running, error, run } = useTask();
  const rows = useStore((model) => model.devices.rows);
  const connected = deviceIds.filter((id) => rows.get(id)?.connected).length;
  const count = deviceIds.length;

  const submit = () =>
    void run(async () => {
      const result = await ipc.deleteDevices(deviceIds);
      const failed = new Set(result.failures.map((failure) => failure.deviceId));
      const gone = new Set(deviceIds.filter((id) => !failed.has(id)));
      select(new Set([...useUi.getState().selected].filter((id) => !gone.has(id))), null);
      tell({ text: t("devices.deleted", { count: result.done }), failures: result.failures });
      onClose();
      void navigate("/devices");
    });

  return (
    <FormDialog
      title={t("devices.deleteTitle", { count })}
      submit={t("devices.deleteSubmit", { count })}
      submitTestId="delete-devices-confirm"
      danger
      canSubmit={name.named}
      running={running}
      error={error}
      onSubmit={submit}
      onClose={onClose}
    >
      <Text>{t("devices.deleteText", { count, alias: hub?.alias ?? "" })}</Text>
      {connected > 0 ? <Text weight="semibold">{t("devices.deleteConnected", { count: connected })}</Text> : null}
      <Text className={styles.ids}>
        {deviceIds.slice(0, SHOWN).join(", ")}
        {count > SHOWN ? ` ${t("devices.andMore", { count: count - SHOWN })}` : null}
      </Text>
      <HubNameField name={name} />
    </FormDialog>
  );
}

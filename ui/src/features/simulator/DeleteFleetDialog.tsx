import { Text } from "@fluentui/react-components";
import { useTranslation } from "react-i18next";
import { FormDialog } from "../../components/FormDialog";
import { HubNameField, useHubName } from "../../components/HubNameField";
import { ipc } from "../../ipc";
import { useTask } from "../../lib/use-task";
import { runningOf } from "../../store/fleets";
import { useActiveHub, useStore } from "../../store/store";

export function DeleteFleetDialog({ id, onClose }: { id: number; onClose: () => void }) {
  const { t } = useTranslation();
  const alias = useActiveHub()?.hub.alias ?? "";
  const fleet = useStore((model) => model.fleets.list?.find((known) => known.id === id));
  const name = useHubName();
  const { running, error, run } = useTask();
  if (!fleet) return null;
  const active = runningOf(fleet);
  return (
    <FormDialog
      title={t("simulator.deleteTitle", { name: fleet.name })}
      submit={t("simulator.deleteSubmit", { count: fleet.devices })}
      submitTestId="delete-fleet-confirm"
      danger
      canSubmit={name.named}
      running={running}
      error={error}
      onClose={onClose}
      onSubmit={() =>
        void run(async () => {
          await ipc.deleteFleet(id);
          onClose();
        })
      }
    >
      <Text>{t("simulator.deleteText", { count: fleet.devices, alias })}</Text>
      {active > 0 ? <Text weight="semibold">{t("simulator.deleteRunning", { count: active })}</Text> : null}
      <HubNameField name={name} />
    </FormDialog>
  );
}

import { Text } from "@fluentui/react-components";
import { useTranslation } from "react-i18next";
import { ConfirmDialog } from "../../components/ConfirmDialog";
import { HubNameField, useHubName } from "../../components/HubNameField";
import { ipc } from "../../ipc";
import { runningOf } from "../../store/fleets";
import { useActiveHub, useStore } from "../../store/store";

export function DeleteFleetDialog({ id, onClose }: { id: number; onClose: () => void }) {
  const { t } = useTranslation();
  const alias = useActiveHub()?.hub.alias ?? "";
  const fleet = useStore((model) => model.fleets.list?.find((known) => known.id === id));
  const name = useHubName();
  if (!fleet) return null;
  const active = runningOf(fleet);
  return (
    <ConfirmDialog
      title={t("simulator.deleteTitle", { name: fleet.name })}
      submit={t("simulator.deleteSubmit", { count: fleet.devices })}
      submitTestId="delete-fleet-confirm"
      canSubmit={name.named}
      work={() => ipc.deleteFleet(id)}
      onClose={onClose}
    >
      <Text>{t("simulator.deleteText", { count: fleet.devices, alias })}</Text>
      {active > 0 ? <Text weight="semibold">{t("simulator.deleteRunning", { count: active })}</Text> : null}
      <HubNameField name={name} />
    </ConfirmDialog>
  );
}

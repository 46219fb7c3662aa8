import { useTranslation } from "react-i18next";
import type { FleetLoad, LoadConfirmation } from "../ipc";
import { useTask } from "../lib/use-task";
import { useActiveHub } from "../store/store";
import { FormDialog } from "./FormDialog";
import { HubNameField, useHubName } from "./HubNameField";
import { LoadNotice } from "./LoadNotice";

type Props = { load: FleetLoad; submit: string; run: (confirmation: LoadConfirmation) => Promise<unknown>; onClose: () => void };

/** Before simulated devices burden a hub that is not on this machine. */
export function ConfirmLoadDialog({ load, submit, run: work, onClose }: Props) {
  const { t } = useTranslation();
  const host = useActiveHub()?.hub.hostName ?? "";
  const name = useHubName();
  const { running, error, run } = useTask();
  return (
    <FormDialog
      title={t("load.ask", { count: load.devices })}
      submit={submit}
      submitTestId="confirm-load"
      canSubmit={name.named}
      running={running}
      error={error}
      onClose={onClose}
      onSubmit={() =>
        void run(async () => {
          await work({ devices: load.devices, messagesPerDay: load.messagesPerDay });
          onClose();
        })
      }
    >
      <LoadNotice load={load} host={host} />
      <HubNameField name={name} />
    </FormDialog>
  );
}

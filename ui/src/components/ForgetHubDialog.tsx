import { Text } from "@fluentui/react-components";
import { useTranslation } from "react-i18next";
import type { SavedHub } from "../ipc";
import { useTask } from "../lib/use-task";
import { forgetHub } from "../store/store";
import { FormDialog } from "./FormDialog";

export function ForgetHubDialog({ hub, onClose }: { hub: SavedHub; onClose: () => void }) {
  const { t } = useTranslation();
  const { running, error, run } = useTask();
  return (
    <FormDialog
      title={t("hubs.forgetTitle", { alias: hub.alias })}
      submit={t("hubs.forget")}
      submitTestId="forget-hub-confirm"
      danger
      running={running}
      error={error}
      onClose={onClose}
      onSubmit={() =>
        void run(async () => {
          await forgetHub(hub.id);
          onClose();
        })
      }
    >
      <Text>{t("hubs.forgetText", { host: hub.hostName })}</Text>
    </FormDialog>
  );
}

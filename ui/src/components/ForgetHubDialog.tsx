import { Text } from "@fluentui/react-components";
import { useTranslation } from "react-i18next";
import type { SavedHub } from "../ipc";
import { forgetHub } from "../store/store";
import { ConfirmDialog } from "./ConfirmDialog";

export function ForgetHubDialog({ hub, onClose }: { hub: SavedHub; onClose: () => void }) {
  const { t } = useTranslation();
  return (
    <ConfirmDialog
      title={t("hubs.forgetTitle", { alias: hub.alias })}
      submit={t("hubs.forget")}
      submitTestId="forget-hub-confirm"
      work={() => forgetHub(hub.id)}
      onClose={onClose}
    >
      <Text>{t("hubs.forgetText", { host: hub.hostName })}</Text>
    </ConfirmDialog>
  );
}

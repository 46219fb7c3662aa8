import { Field, Input, Text } from "@fluentui/react-components";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate } from "react-router";
import { FormDialog } from "../../components/FormDialog";
import { ipc } from "../../ipc";
import { isDeviceId } from "../../lib/device-id";
import { useTask } from "../../lib/use-task";

/** A plain identity, for a device that exists or is about to. */
export function CreateDeviceDialog({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const [id, setId] = useState("");
  const { running, error, run } = useTask();
  const wrong = id !== "" && !isDeviceId(id);

  const submit = () =>
    void run(async () => {
      await ipc.createDevice(id);
      onClose();
      void navigate(`/devices/${encodeURIComponent(id)}`);
    });

  return (
    <FormDialog
      title={t("devices.create")}
      submit={t("devices.createSubmit")}
      submitTestId="create-device-submit"
      canSubmit={id !== "" && !wrong}
      running={running}
      error={error}
      onSubmit={submit}
      onClose={onClose}
    >
      <Text>{t("devices.createText")}</Text>
      <Field label={t("devices.columns.id")} required validationMessage={wrong ? t("devices.idWrong") : undefined}>
        <Input value={id} maxLength={128} spellCheck={false} data-testid="create-device-id" onChange={(_, data) => setId(data.value)} />
      </Field>
    </FormDialog>
  );
}

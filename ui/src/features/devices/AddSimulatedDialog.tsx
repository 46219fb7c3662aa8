import { Dropdown, Field, Input, makeStyles, Option, Radio, RadioGroup, Text, tokens } from "@fluentui/react-components";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { FormDialog } from "../../components/FormDialog";
import { type DeviceModel, ipc, type Speed } from "../../ipc";
import { useTask } from "../../lib/use-task";
import { tell } from "../../store/ui";
import { isDeviceId, MOST_DEVICES } from "./new-devices";

const models: DeviceModel[] = ["firmware", "reboot", "lockDoor", "factoryReset"];

const useStyles = makeStyles({
  row: { display: "grid", gridTemplateColumns: "minmax(0, 1fr) minmax(0, 2fr)", gap: "16px", alignItems: "start" },
  note: { color: tokens.colorNeutralForeground2 },
});

export function AddSimulatedDialog({ onClose }: { onClose: () => void }) {
  const styles = useStyles();
  const { t } = useTranslation();
  const [count, setCount] = useState("20");
  const [prefix, setPrefix] = useState("sim");
  const [model, setModel] = useState<DeviceModel>("firmware");
  const [speed, setSpeed] = useState<Speed>("tutorial");
  const { running, error, run } = useTask();
  const number = Number(count);
  const countWrong = !Number.isInteger(number) || number < 1 || number > MOST_DEVICES;
  const prefixWrong = !isDeviceId(prefix);

  const submit = () =>
    void run(async () => {
      const result = await ipc.createDevices({ name: prefix, count: number, model, speed });
      tell({ text: t("devices.simulatedAdded", { count: result.done }), failures: result.failures });
      onClose();
    });

  return (
    <FormDialog
      title={t("devices.addSimulated")}
      submit={t("devices.addSimulatedSubmit", { count: countWrong ? 0 : number })}
      submitTestId="add-simulated-create"
      canSubmit={!countWrong && !prefixWrong}
      running={running}
      error={error}
      onSubmit={submit}
      onClose={onClose}
    >
      <Text className={styles.note}>{t("devices.addSimulatedText")}</Text>
      <div className={styles.row}>
        <Field label={t("devices.howMany")} required validationMessage={countWrong ? t("devices.countWrong", { most: MOST_DEVICES }) : undefined}>
          <Input
            type="number"
            min={1}
            max={MOST_DEVICES}
            value={count}
            data-testid="add-simulated-count"
            onChange={(_, data) => setCount(data.value)}
          />
        </Field>
        <Field
          label={t("devices.prefix")}
          required
          validationMessage={prefixWrong ? t("devices.idWrong") : undefined}
          hint={prefixWrong ? undefined : t("devices.prefixHint")}
        >
          <Input value={prefix} data-testid="add-simulated-prefix" onChange={(_, data) => setPrefix(data.value)} />
        </Field>
      </div>
      <Field label={t("devices.model")} hint={t(`models.${model}Text`)}>
        <Dropdown
          value={t(`models.${model}`)}
          selectedOptions={[model]}
          data-testid="add-simulated-model"
          onOptionSelect={(_, data) => setModel((data.optionValue as DeviceModel | undefined) ?? "firmware")}
        >
          {models.map((value) => (
            <Option key={value} value={value} data-testid={`model-${value}`}>
              {t(`models.${value}`)}
            </Option>
          ))}
        </Dropdown>
      </Field>
      <Field label={t("devices.speed")}>
        <RadioGroup value={speed} onChange={(_, data) => setSpeed(data.value as Speed)}>
          <Radio value="tutorial" label={t("devices.speeds.tutorial")} />
          <Radio value="fast" label={t("devices.speeds.fast")} data-testid="add-simulated-fast" />
        </RadioGroup>
      </Field>
    </FormDialog>
  );
}

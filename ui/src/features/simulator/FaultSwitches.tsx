import { Button, Input, makeStyles, Text, ToggleButton, tokens, Tooltip } from "@fluentui/react-components";
import { DismissRegular } from "@fluentui/react-icons/svg/dismiss";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import type { SwitchedFault } from "../../ipc";
import { changeFault, isOn, kindOf, kinds, readSetting, readShare, shareText, toggleFault } from "./faults";

const useStyles = makeStyles({
  root: { display: "flex", flexDirection: "column", gap: "8px" },
  toggles: { display: "flex", flexWrap: "wrap", gap: "6px" },
  toggle: { whiteSpace: "nowrap", minWidth: 0 },
  list: { listStyleType: "none", margin: 0, padding: 0, display: "flex", flexDirection: "column" },
  item: {
    display: "flex",
    flexWrap: "wrap",
    alignItems: "center",
    gap: "4px 12px",
    padding: "4px 0",
    borderTop: `1px solid ${tokens.colorNeutralStroke3}`,
  },
  name: { flexBasis: "140px", flexShrink: 0 },
  setting: { display: "inline-flex", alignItems: "center", gap: "6px", whiteSpace: "nowrap", color: tokens.colorNeutralForeground2 },
  space: { flexGrow: 1 },
  none: { color: tokens.colorNeutralForeground3 },
});

type Props = {
  faults: SwitchedFault[];
  onChange: (faults: SwitchedFault[]) => void;
  /** For a fleet the share of its devices is asked; one device has a fault or has not. */
  fleet: boolean;
  label: string;
};

export function FaultSwitches({ faults, onChange, fleet, label }: Props) {
  const styles = useStyles();
  const { t } = useTranslation();
  return (
    <div className={styles.root} role="group" aria-label={label}>
      <div className={styles.toggles}>
        {kinds.map(({ kind }) => (
          <Tooltip key={kind} content={t(`faults.${kind}.text`)} relationship="description">
            <ToggleButton
              size="small"
              shape="circular"
              className={styles.toggle}
              checked={isOn(faults, kind)}
              appearance={isOn(faults, kind) ? "primary" : "outline"}
              onClick={() => onChange(toggleFault(faults, kind))}
              data-testid={`fault-${kind}`}
            >
              {t(`faults.${kind}.name`)}
            </ToggleButton>
          </Tooltip>
        ))}
      </div>
      {faults.length > 0 ? (
        <ul className={styles.list}>
          {faults.map((fault, at) => {
            const { settings, chance } = kindOf(fault.kind);
            const change = (change: Partial<SwitchedFault>) => onChange(changeFault(faults, at, change));
            return (
              <li key={`${fault.kind} ${at}`} className={styles.item} data-testid="switched-fault" data-kind={fault.kind}>
                <Text weight="semibold" size={200} className={styles.name}>
                  {t(`faults.${fault.kind}.name`)}
                </Text>
                {settings.map((setting) => (
                  <Setting
                    key={setting.key}
                    label={t(`faults.settings.${setting.key}`)}
                    value={String(fault[setting.key] ?? setting.first)}
                    wrong={t(setting.kind === "time" ? "faults.timeWrong" : "faults.numberWrong")}
                          read={(text) => readSetting(setting, text)}
                    onChange={(value) => change({ [setting.key]: value })}
                    testId={`fault-${fault.kind}-${setting.key}`}
                  />
                ))}
                {fleet ? (
                  <Setting
                    label={t("faults.devices")}
                    unit={t("faults.percent")}
                    value={shareText(fault.devices)}
                    wrong={t("faults.shareWrong")}
                          read={readShare}
                    onChange={(devices) => change({ devices })}
                    testId={`fault-${fault.kind}-devices`}
                  />
                ) : null}
                {chance ? (
                  <Setting
                    label={t("faults.chance")}
                    unit={t("faults.percent")}
                    value={shareText(fault.chance)}
                    wrong={t("faults.shareWrong")}
                          read={readShare}
                    onChange={(value) => change({ chance: value })}
                    testId={`fault-${fault.kind}-chance`}
                  />
                ) : null}
                <span className={styles.space} />
                <Tooltip content={t("faults.remove", { name: t(`faults.${fault.kind}.name`) })} relationship="label">
                  <Button
                    size="small"
                    appearance="subtle"
                    icon={<DismissRegular />}
                          onClick={() => onChange(faults.filter((_, index) => index !== at))}
                  />
                </Tooltip>
              </li>
            );
          })}
        </ul>
      ) : (
        <Text size={200} className={styles.none}>
          {t("faults.none")}
        </Text>
      )}
    </div>
  );
}

type SettingProps<V> = {
  label: string;
  unit?: string;
  value: string;
  wrong: string;
  read: (text: string) => V | null;
  onChange: (value: V) => void;
  testId: string;
};

/** Takes effect with Enter or on leaving the field; what is wrong stays there and takes none. */
function Setting<V>({ label, unit, value, wrong, read, onChange, testId }: SettingProps<V>) {
  const styles = useStyles();
  const [typed, setTyped] = useState<string | null>(null);
  const text = typed ?? value;
  const known = read(text);
  const take = () => {
    if (known === null) return;
    if (text !== value) onChange(known);
    setTyped(null);
  };
  return (
    <label className={styles.setting}>
      <Text size={200}>{label}</Text>
      <Input
        size="small"
        value={text}
        input={{ size: 6 }}
        contentAfter={unit ? <Text size={200}>{unit}</Text> : undefined}
        aria-invalid={known === null}
        title={known === null ? wrong : undefined}
        onChange={(_, data) => setTyped(data.value)}
        onBlur={take}
        onKeyDown={(event) => {
          if (event.key !== "Enter") return;
          event.preventDefault();
          take();
        }}
        data-testid={testId}
      />
    </label>
  );
}

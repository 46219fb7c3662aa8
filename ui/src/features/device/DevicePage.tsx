import { Button, makeStyles, MessageBar, MessageBarBody, Spinner, Switch, Tab, TabList, Text, Title3, tokens, Tooltip } from "@fluentui/react-components";
import { BeakerRegular } from "@fluentui/react-icons/svg/beaker";
import { CopyRegular } from "@fluentui/react-icons/svg/copy";
import { DeveloperBoardRegular } from "@fluentui/react-icons/svg/developer-board";
import { DismissRegular } from "@fluentui/react-icons/svg/dismiss";
import { type ReactNode, useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate, useSearchParams } from "react-router";
import { ConnectionMark } from "../../components/ConnectionMark";
import { ErrorBar } from "../../components/ErrorBar";
import { FirmwareMark } from "../../components/FirmwareMark";
import { RelativeTime } from "../../components/RelativeTime";
import { SimulatedBadge } from "../../components/SimulatedBadge";
import { StatePanel } from "../../components/StatePanel";
import { ipc } from "../../ipc";
import { useTask } from "../../lib/use-task";
import { useStore } from "../../store/store";

const useStyles = makeStyles({
  head: { padding: "14px 16px 0 20px", display: "flex", flexDirection: "column", gap: "8px", flexShrink: 0 },
  title: { display: "flex", alignItems: "center", gap: "4px", minWidth: 0 },
  id: { overflow: "hidden", textOverflow: "ellipsis", whiteSpace: "nowrap", flexGrow: 1 },
  facts: { display: "flex", flexWrap: "wrap", alignItems: "center", gap: "4px 14px", minHeight: "32px" },
  quiet: { color: tokens.colorNeutralForeground3 },
  tabs: { padding: "0 10px", borderBottom: `1px solid ${tokens.colorNeutralStroke2}`, flexShrink: 0 },
  body: { flexGrow: 1, minHeight: 0, overflow: "auto", display: "flex", flexDirection: "column" },
});

const TABS = ["twin", "methods", "jobs"] as const;
type DeviceTab = (typeof TABS)[number];

type Props = { deviceId: string } & Record<DeviceTab, ReactNode>;

export function DevicePage({ deviceId, ...content }: Props) {
  const styles = useStyles();
  const { t } = useTranslation();
  const navigate = useNavigate();
  const [params, setParams] = useSearchParams();
  const tab = TABS.find((known) => known === params.get("tab")) ?? "twin";
  const row = useStore((model) => model.devices.rows.get(deviceId));
  const reading = useStore((model) => model.devices.loading || model.devices.ids.length < model.devices.total);
  const { running, error, setError, run } = useTask();
  const copy = useTask();
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => setCopied(false), 3000);
    return () => clearTimeout(timer);
  }, [copied]);

  if (!row && !reading) {
    return (
      <StatePanel icon={<DeveloperBoardRegular />} title={t("device.gone", { id: deviceId })} text={t("device.goneText")}>
        <Button onClick={() => void navigate("/devices")}>{t("device.close")}</Button>
      </StatePanel>
    );
  }
  return (
    <>
      <header className={styles.head}>
        <div className={styles.title}>
          <Title3 as="h2" className={styles.id} title={deviceId} data-testid="device-title">
            {deviceId}
          </Title3>
          <Tooltip content={copied ? t("device.copied") : t("device.copy")} relationship="label" {...(copied ? { visible: true } : {})}>
            <Button
              appearance="subtle"
              icon={copy.running ? <Spinner size="tiny" /> : <CopyRegular />}
              disabled={copy.running}
              data-testid="copy-connection-string"
              onClick={() =>
                void copy.run(async () => {
                  await ipc.copyConnectionString(deviceId);
                  setCopied(true);
                })
              }
            />
          </Tooltip>
          {row?.fleet ? (
            <Tooltip content={t("simulator.openIn")} relationship="label">
              <Button
                appearance="subtle"
                icon={<BeakerRegular />}
                onClick={() => void navigate(`/simulator/fleets/${row.fleet}?device=${encodeURIComponent(deviceId)}`)}
                data-testid="open-in-simulator"
              />
            </Tooltip>
          ) : null}
          <Tooltip content={t("device.close")} relationship="label">
            <Button appearance="subtle" icon={<DismissRegular />} onClick={() => void navigate("/devices")} />
          </Tooltip>
        </div>
        <div className={styles.facts}>
          <ConnectionMark connected={row?.connected ?? false} />
          {row?.connectionChangedAt ? (
            <Text size={200} className={styles.quiet}>
              <RelativeTime time={row.connectionChangedAt} />
            </Text>
          ) : null}
          {row?.firmwareStatus ? <FirmwareMark status={row.firmwareStatus} /> : null}
          {row?.simulated ? <SimulatedBadge state={row.simulated} /> : null}
          <Switch
            label={row?.enabled === false ? t("devices.disabled") : t("devices.enabled")}
            checked={row?.enabled ?? true}
            disabled={running || !row}
            data-testid="device-enabled"
            onChange={(_, data) => void run(() => ipc.setDeviceEnabled(deviceId, data.checked))}
          />
        </div>
        {row && !row.enabled ? (
          <MessageBar intent="warning">
            <MessageBarBody>{t("device.disabledText")}</MessageBarBody>
          </MessageBar>
        ) : null}
        <ErrorBar error={error} what={t("errors.enabled")} onDismiss={() => setError(null)} />
        <ErrorBar error={copy.error} what={t("errors.copy")} onDismiss={() => copy.setError(null)} />
        <span role="status" hidden={!copied}>
          {copied ? t("device.copied") : null}
        </span>
      </header>
      <TabList
        className={styles.tabs}
        selectedValue={tab}
        onTabSelect={(_, data) => setParams(data.value === "twin" ? {} : { tab: String(data.value) }, { replace: true })}
      >
        {TABS.map((name) => (
          <Tab key={name} value={name} data-testid={`device-tab-${name}`}>
            {t(`device.${name}`)}
          </Tab>
        ))}
      </TabList>
      <div className={styles.body} role="tabpanel">
        {content[tab]}
      </div>
    </>
  );
}

import { Badge, Button, makeStyles, Switch, Tab, TabList, Text, Title3, tokens, Tooltip } from "@fluentui/react-components";
import { DismissRegular } from "@fluentui/react-icons/svg/dismiss";
import { HourglassHalfRegular } from "@fluentui/react-icons/svg/hourglass-half";
import { OpenRegular } from "@fluentui/react-icons/svg/open";
import { PlayRegular } from "@fluentui/react-icons/svg/play";
import { StopFilled } from "@fluentui/react-icons/svg/stop";
import { useCallback, useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate } from "react-router";
import { ErrorBar } from "../../components/ErrorBar";
import { JsonLines } from "../../components/JsonLines";
import { LogView } from "../../components/LogView";
import type { LineLook } from "../../components/LogLines";
import { SimulatedBadge } from "../../components/SimulatedBadge";
import { StatePanel } from "../../components/StatePanel";
import { type ConsoleKind, type ConsoleLine, ipc, type SimulatedDevice, type SimulatedState, type SwitchedFault, toAppError } from "../../ipc";
import { useAsked } from "../../lib/use-asked";
import { useTask } from "../../lib/use-task";
import { useThrottled } from "../../lib/use-throttled";
import { withLoad } from "../../store/confirm";
import { clearConsole, unwatchConsole, watchConsole } from "../../store/simulator";
import { useStore } from "../../store/store";
import { FaultSwitches } from "./FaultSwitches";
import { TelemetryChart } from "./TelemetryChart";

/** Between two looks at what a busy device remembers. */
const LOOK_AGAIN = 1000;

const useStyles = makeStyles({
  head: { padding: "12px 12px 0 16px", display: "flex", flexDirection: "column", gap: "6px", flexShrink: 0 },
  title: { display: "flex", alignItems: "center", gap: "4px", minWidth: 0 },
  id: { overflow: "hidden", textOverflow: "ellipsis", whiteSpace: "nowrap", flexGrow: 1 },
  facts: { display: "flex", flexWrap: "wrap", alignItems: "center", gap: "4px 12px" },
  quiet: { color: tokens.colorNeutralForeground2, overflowWrap: "anywhere" },
  tabs: { padding: "0 6px", borderBottom: `1px solid ${tokens.colorNeutralStroke2}`, flexShrink: 0 },
  body: { flexGrow: 1, minHeight: 0, overflowY: "auto", display: "flex", flexDirection: "column", gap: "10px", padding: "12px 16px" },
  empty: { border: `1px dashed ${tokens.colorNeutralStroke2}`, borderRadius: tokens.borderRadiusMedium },
});

const NONE: ConsoleLine[] = [];
const NO_FAULTS: SwitchedFault[] = [];
const tones = { received: "plain", sent: "brand", did: "quiet" } as const;
const tabs = ["console", "telemetry", "faults", "memory"] as const;
type View = (typeof tabs)[number];

type Props = { deviceId: string; state: SimulatedState | undefined; onClose: () => void };

/** One simulated device: what it says, what goes wrong with it, what it remembers. */
export function DeviceDrawer({ deviceId, state, onClose }: Props) {
  const styles = useStyles();
  const { t } = useTranslation();
  const navigate = useNavigate();
  const [view, setView] = useState<View>("console");
  const [device, setDevice] = useState<SimulatedDevice | null>(null);
  const lines = useStore((model) => (model.console?.deviceId === deviceId ? model.console.lines : NONE));
  const watch = useTask();
  const look = useTask();
  const act = useTask();
  const { run: runWatch } = watch;
  const { setError: setLookError } = look;
  const last = useThrottled(lines.at(-1)?.sequence, LOOK_AGAIN);
  useEffect(() => {
    void runWatch(() => watchConsole(deviceId));
    return unwatchConsole;
  }, [deviceId, runWatch]);
  useEffect(() => {
    let current = true;
    ipc.simulatedDevice(deviceId).then(
      (read) => {
        if (!current) return;
        setDevice(read);
        setLookError(null);
      },
      (thrown: unknown) => current && setLookError(toAppError(thrown)),
    );
    return () => {
      current = false;
    };
  }, [deviceId, state, last, setLookError]);

  const now = state ?? device?.state ?? "stopped";
  const start = () =>
    act.run(() =>
      withLoad(
        () => ipc.simulatedLoad([deviceId]),
        () => t("simulator.startCount", { count: 1 }),
        async (confirmation) => {
          const [failure] = (await ipc.startSimulated([deviceId], confirmation)).failures;
          if (failure) throw toAppError(new Error(failure.message));
        },
      ),
    );
  const faults = useAsked<SwitchedFault[] | null>(
    device?.faults ?? NO_FAULTS,
    useCallback(async (next) => setDevice(await ipc.setDeviceFaults(deviceId, next)), [deviceId]),
  );
  const lineLook = (kind: ConsoleKind): LineLook => ({ mark: t(`console.marks.${kind}`), label: t(`console.kinds.${kind}`), tone: tones[kind] });

  return (
    <>
      <header className={styles.head}>
        <div className={styles.title}>
          <Title3 as="h2" className={styles.id} title={deviceId} data-testid="drawer-title">
            {deviceId}
          </Title3>
          <Tooltip content={t("simulator.openDevice")} relationship="label">
            <Button appearance="subtle" icon={<OpenRegular />} onClick={() => void navigate(`/devices/${encodeURIComponent(deviceId)}`)} data-testid="open-in-devices" />
          </Tooltip>
          <Tooltip content={t("device.close")} relationship="label">
            <Button appearance="subtle" icon={<DismissRegular />} onClick={onClose} data-testid="close-drawer" />
          </Tooltip>
        </div>
        <div className={styles.facts}>
          <SimulatedBadge state={now} />
          {device ? <Text size={200}>{device.model}</Text> : null}
          {device?.ownFaults ? (
            <Badge appearance="tint" color="warning" shape="rounded">
              {t("faults.own")}
            </Badge>
          ) : null}
          {now === "stopped" ? (
            <Button size="small" icon={<PlayRegular />} disabled={act.running} onClick={() => void start()} data-testid="start-device">
              {t("simulator.start")}
            </Button>
          ) : (
            <Button
              size="small"
              icon={<StopFilled />}
              disabled={act.running}
              onClick={() => void act.run(() => ipc.stopSimulated([deviceId]))}
              data-testid="stop-device"
            >
              {t("simulator.stop")}
            </Button>
          )}
        </div>
        {device?.reason ? (
          <Text size={200} className={styles.quiet}>
            {device.reason}
          </Text>
        ) : null}
        <ErrorBar error={act.error} what={t("errors.simulated")} onDismiss={() => act.setError(null)} />
        <ErrorBar error={look.error} what={t("errors.simulatedDevice", { id: deviceId })} />
      </header>
      <TabList className={styles.tabs} size="small" selectedValue={view} onTabSelect={(_, data) => setView(data.value as View)}>
        {tabs.map((tab) => (
          <Tab key={tab} value={tab} data-testid={`drawer-${tab}`}>
            {t(`console.tabs.${tab}`)}
          </Tab>
        ))}
      </TabList>
      <div className={styles.body} role="tabpanel" aria-label={t(`console.tabs.${view}`)}>
        {view === "console" ? (
          <LogView
            fill
            lines={lines}
            label={t("console.lines", { id: deviceId })}
            look={lineLook}
            onClear={clearConsole}
            testId="console"
            error={<ErrorBar error={watch.error} what={t("errors.console")} onRetry={() => void runWatch(() => watchConsole(deviceId))} />}
            empty={
              watch.error ? null : (
                <div className={styles.empty}>
                  <StatePanel icon={<HourglassHalfRegular />} title={t("console.empty")} text={t(now === "stopped" ? "console.emptyStopped" : "console.emptyText")} />
                </div>
              )
            }
          />
        ) : view === "telemetry" ? (
          <TelemetryChart lines={lines} />
        ) : device === null ? null : view === "faults" ? (
          <>
            <Switch
              label={t("faults.asFleet")}
              checked={!device.ownFaults}
              onChange={(_, data) => faults.ask(data.checked ? null : device.faults)}
              data-testid="faults-as-fleet"
            />
            <FaultSwitches fleet={false} label={t("faults.ofDevice", { id: deviceId })} faults={faults.value ?? device.faults} onChange={faults.ask} />
            <ErrorBar error={faults.error} what={t("errors.faults")} onDismiss={() => faults.setError(null)} />
          </>
        ) : (
          <>
            <Text size={200} className={styles.quiet}>
              {t("console.memoryText")}
            </Text>
            <JsonLines value={device.memory} label={t("console.tabs.memory")} testId="device-memory" />
          </>
        )}
      </div>
    </>
  );
}

import { makeStyles, mergeClasses, MessageBar, MessageBarBody, Subtitle1, Text, tokens } from "@fluentui/react-components";
import { BeakerRegular } from "@fluentui/react-icons/svg/beaker";
import { useCallback, useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { useParams, useSearchParams } from "react-router";
import { ErrorBar } from "../../components/ErrorBar";
import { RelativeTime } from "../../components/RelativeTime";
import { StatePanel } from "../../components/StatePanel";
import type { Fleet, SimulatedState, SwitchedFault } from "../../ipc";
import { useAsked } from "../../lib/use-asked";
import { useMedia } from "../../lib/use-media";
import { useTask } from "../../lib/use-task";
import { useThrottled } from "../../lib/use-throttled";
import { setFleetFaults, unwatchFleet, watchFleet } from "../../store/simulator";
import { useStore } from "../../store/store";
import { DeviceDrawer } from "./DeviceDrawer";
import { DotGrid } from "./DotGrid";
import { FaultSwitches } from "./FaultSwitches";
import { FleetActions } from "./FleetActions";
import { FleetCounters } from "./FleetCounters";
import { TaskBar } from "./TaskBar";

/** Between two readings of who belongs to a fleet that is being made. */
const REREAD = 1000;

const useStyles = makeStyles({
  root: { display: "flex", flexGrow: 1, minWidth: 0, minHeight: 0 },
  fleet: { display: "flex", flexDirection: "column", gap: "10px", padding: "12px 16px", flexGrow: 1, minWidth: 0, minHeight: 0, overflowY: "auto" },
  head: { display: "flex", flexWrap: "wrap", gap: "8px 12px", alignItems: "center" },
  titles: { display: "flex", flexDirection: "column", flexGrow: 1, flexBasis: "200px", minWidth: 0 },
  name: { overflow: "hidden", textOverflow: "ellipsis", whiteSpace: "nowrap" },
  quiet: { color: tokens.colorNeutralForeground2 },
  drawer: {
    width: "clamp(400px, 46%, 640px)",
    flexShrink: 0,
    display: "flex",
    flexDirection: "column",
    minHeight: 0,
    borderLeft: `1px solid ${tokens.colorNeutralStroke2}`,
    backgroundColor: tokens.colorNeutralBackground1,
  },
  over: { position: "absolute", top: 0, right: 0, bottom: 0, left: 0, width: "auto", borderLeftStyle: "none", zIndex: 2 },
});

export function FleetPage() {
  const { t } = useTranslation();
  const id = Number(useParams().fleet);
  const fleet = useStore((model) => model.fleets.list?.find((known) => known.id === id));
  if (!fleet) return <StatePanel icon={<BeakerRegular />} title={t("simulator.gone")} text={t("simulator.goneText")} />;
  return <Shown key={id} fleet={fleet} />;
}

function Shown({ fleet }: { fleet: Fleet }) {
  const styles = useStyles();
  const { t } = useTranslation();
  const wide = useMedia("(min-width: 1200px)");
  // In the address, so that Back closes the device.
  const [search, setSearch] = useSearchParams();
  const device = search.get("device");
  const open = (id: string | null) => setSearch(id === null ? {} : { device: id });
  const dots = useStore((model) => (model.dots?.fleet === fleet.id ? model.dots : null));
  const [only, setOnly] = useState<SimulatedState | null>(null);
  const watching = useTask();
  const { run } = watching;
  const faults = useAsked(fleet.faults, useCallback((next: SwitchedFault[]) => setFleetFaults(fleet.id, next), [fleet.id]));
  const members = useThrottled(fleet.members, REREAD);
  useEffect(() => {
    void run(() => watchFleet(fleet.id));
  }, [fleet.id, members, run]);
  useEffect(() => unwatchFleet, [fleet.id]);

  const models = fleet.groups.map(({ title, count }) => (fleet.groups.length > 1 ? t("simulator.group", { title, count }) : title)).join(", ");
  return (
    <div className={styles.root}>
      <div className={styles.fleet} data-testid="fleet-page" data-fleet={fleet.id}>
        <div className={styles.head}>
          <div className={styles.titles}>
            <Subtitle1 as="h2" className={styles.name} title={fleet.name}>
              {fleet.name}
            </Subtitle1>
            <Text size={200} className={styles.quiet}>
              {t("simulator.about", { count: fleet.devices, models })}
              {" · "}
              <RelativeTime time={fleet.createdAt} />
            </Text>
          </div>
          <FleetActions fleet={fleet} />
        </div>
        {fleet.problem === null ? null : (
          <MessageBar intent="error" layout="multiline">
            <MessageBarBody>{t("simulator.problem", { problem: fleet.problem })}</MessageBarBody>
          </MessageBar>
        )}
        <TaskBar fleet={fleet} />
        <ErrorBar error={watching.error} what={t("errors.fleet")} onRetry={() => void run(() => watchFleet(fleet.id))} />
        <FleetCounters fleet={fleet} only={only} onOnly={setOnly} />
        {dots && dots.deviceIds.length > 0 ? (
          <DotGrid dots={dots} only={only} open={device} onOpen={open} label={t("simulator.devices", { count: fleet.devices })} />
        ) : dots && !fleet.task?.running ? (
          <StatePanel icon={<BeakerRegular />} title={t("simulator.noDevices")} text={t("simulator.noDevicesText")} />
        ) : null}
        {fleet.problem === null ? (
          <>
            <ErrorBar error={faults.error} what={t("errors.faults")} onDismiss={() => faults.setError(null)} />
            <FaultSwitches
              fleet
              label={t("faults.ofFleet")}
              faults={faults.value}
              onChange={faults.ask}
            />
          </>
        ) : null}
      </div>
      {device === null ? null : (
        <aside className={mergeClasses(styles.drawer, !wide && styles.over)} aria-label={device}>
          <DeviceDrawer key={device} deviceId={device} state={dots?.states[dots.deviceIds.indexOf(device)]} onClose={() => open(null)} />
        </aside>
      )}
    </div>
  );
}

import {
  Button,
  Input,
  makeStyles,
  Menu,
  MenuDivider,
  MenuItem,
  MenuItemCheckbox,
  MenuList,
  MenuPopover,
  MenuTrigger,
  Spinner,
  Text,
  tokens,
  Tooltip,
} from "@fluentui/react-components";
import { AddRegular } from "@fluentui/react-icons/svg/add";
import { ArrowExportRegular } from "@fluentui/react-icons/svg/arrow-export";
import { DeleteRegular } from "@fluentui/react-icons/svg/delete";
import { MoreHorizontalRegular } from "@fluentui/react-icons/svg/more-horizontal";
import { PlayRegular } from "@fluentui/react-icons/svg/play";
import { StopFilled } from "@fluentui/react-icons/svg/stop";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { ErrorBar } from "../../components/ErrorBar";
import { type Fleet, type FleetLoad, ipc } from "../../ipc";
import { useTask } from "../../lib/use-task";
import { withLoad } from "../../store/confirm";
import { countOf, runningOf } from "../../store/fleets";
import { openDialog } from "../../store/ui";

const FASTEST = 5000;

const useStyles = makeStyles({
  root: { display: "flex", gap: "8px", alignItems: "center", flexWrap: "wrap" },
  ramp: { display: "inline-flex", gap: "6px", alignItems: "center", whiteSpace: "nowrap", color: tokens.colorNeutralForeground2 },
  whole: { flexBasis: "100%" },
});

/** Start and stop at a pace, and what is done less often. */
export function FleetActions({ fleet }: { fleet: Fleet }) {
  const styles = useStyles();
  const { t } = useTranslation();
  const { running, error, setError, run } = useTask();
  const [what, setWhat] = useState("");
  const [saved, setSaved] = useState<string | null>(null);
  const [pace, setPace] = useState(String(fleet.perSecond));
  const perSecond = Number(pace);
  const paceWrong = !Number.isInteger(perSecond) || perSecond < 1 || perSecond > FASTEST;
  const busy = running || fleet.task?.running === true;
  const stopped = countOf(fleet, "stopped");
  const active = runningOf(fleet);
  const load: FleetLoad = fleet.load ?? { devices: fleet.devices, messagesPerDay: 0, connectsPerSecond: perSecond, tier: "S1", units: 1, tooMuch: false };
  const act = (failed: string, work: () => Promise<unknown>) => {
    setWhat(failed);
    setSaved(null);
    return run(work);
  };
  const start = () =>
    act(t("errors.startFleet"), () =>
      withLoad(
        () => load,
        ({ devices }) => t("simulator.startCount", { count: devices }),
        (confirmation) => ipc.startFleet(fleet.id, perSecond, confirmation),
      ),
    );
  const stop = () => act(t("errors.stopFleet"), () => ipc.stopFleet(fleet.id, perSecond));
  const withHub = () =>
    act(t("errors.fleetSettings"), () =>
      fleet.startsWithHub
        ? ipc.setFleetStart(fleet.id, false, null)
        : withLoad(
            () => load,
            () => t("simulator.startsWithHub"),
            (confirmation) => ipc.setFleetStart(fleet.id, true, confirmation),
          ),
    );
  const createMissing = () =>
    act(t("errors.createMissing"), () =>
      withLoad(
        () => load,
        ({ devices }) => t("simulator.startCount", { count: devices }),
        (confirmation) => ipc.createMissing(fleet.id, confirmation),
      ),
    );
  const exportFile = () => act(t("errors.exportFleet"), async () => setSaved(await ipc.exportFleet(fleet.id)));

  return (
    <>
      <div className={styles.root}>
        {fleet.problem === null ? (
          <>
            <Tooltip content={t("simulator.rampHint")} relationship="description">
              <label className={styles.ramp}>
                <Input
                  size="small"
                  value={pace}
                  input={{ size: 4 }}
                  aria-invalid={paceWrong}
                  title={paceWrong ? t("simulator.paceWrong", { most: FASTEST }) : undefined}
                  onChange={(_, data) => setPace(data.value)}
                  data-testid="fleet-ramp"
                />
                <Text size={200}>{t("simulator.perSecond")}</Text>
              </label>
            </Tooltip>
            {stopped > 0 || active === 0 ? (
              <Button
                appearance="primary"
                icon={busy && running ? <Spinner size="tiny" /> : <PlayRegular />}
                disabled={busy || paceWrong || fleet.devices === 0}
                onClick={() => void start()}
                data-testid="start-fleet"
              >
                {t("simulator.startCount", { count: stopped })}
              </Button>
            ) : null}
            {active > 0 ? (
              <Button icon={<StopFilled />} disabled={busy || paceWrong} onClick={() => void stop()} data-testid="stop-fleet">
                {t("simulator.stopCount", { count: active })}
              </Button>
            ) : null}
          </>
        ) : null}
        <Menu checkedValues={{ start: fleet.startsWithHub ? ["hub"] : [] }}>
          <MenuTrigger disableButtonEnhancement>
            <Tooltip content={t("simulator.more")} relationship="label">
              <Button appearance="subtle" icon={<MoreHorizontalRegular />} data-testid="fleet-more" />
            </Tooltip>
          </MenuTrigger>
          <MenuPopover>
            <MenuList>
              {fleet.problem === null ? (
                <>
                  <MenuItemCheckbox name="start" value="hub" onClick={() => void withHub()} data-testid="starts-with-hub">
                    {t("simulator.startsWithHub")}
                  </MenuItemCheckbox>
                  <MenuItem icon={<ArrowExportRegular />} onClick={() => void exportFile()} data-testid="export-fleet">
                    {t("simulator.export")}
                  </MenuItem>
                  {fleet.missing > 0 ? (
                    <MenuItem icon={<AddRegular />} disabled={busy} onClick={() => void createMissing()} data-testid="create-missing">
                      {t("simulator.createMissing", { count: fleet.missing })}
                    </MenuItem>
                  ) : null}
                  <MenuDivider />
                </>
              ) : null}
              <MenuItem icon={<DeleteRegular />} disabled={busy} onClick={() => openDialog({ kind: "deleteFleet", id: fleet.id })} data-testid="delete-fleet">
                {t("simulator.delete")}
              </MenuItem>
            </MenuList>
          </MenuPopover>
        </Menu>
      </div>
      {error || saved ? (
        <div className={styles.whole}>
          <ErrorBar error={error} what={what} onDismiss={() => setError(null)} />
          <Text size={200} role="status">
            {saved ? t("simulator.exported", { file: saved }) : null}
          </Text>
        </div>
      ) : null}
    </>
  );
}

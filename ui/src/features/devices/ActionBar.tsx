import { Button, makeStyles, mergeClasses, Text, tokens, Toolbar, ToolbarButton, ToolbarDivider, Tooltip } from "@fluentui/react-components";
import { AddRegular } from "@fluentui/react-icons/svg/add";
import { ArrowCircleUpRegular } from "@fluentui/react-icons/svg/arrow-circle-up";
import { ArrowClockwiseRegular } from "@fluentui/react-icons/svg/arrow-clockwise";
import { BeakerRegular } from "@fluentui/react-icons/svg/beaker";
import { DeleteRegular } from "@fluentui/react-icons/svg/delete";
import { DismissRegular } from "@fluentui/react-icons/svg/dismiss";
import { TaskListAddRegular } from "@fluentui/react-icons/svg/task-list-add";
import { PlayRegular } from "@fluentui/react-icons/svg/play";
import { StopFilled } from "@fluentui/react-icons/svg/stop";
import { type ReactElement, useMemo, useRef } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate } from "react-router";
import { ErrorBar } from "../../components/ErrorBar";
import { ipc } from "../../ipc";
import { useWidth } from "../../lib/use-size";
import { useTask } from "../../lib/use-task";
import { useThrottled } from "../../lib/use-throttled";
import { withLoad } from "../../store/confirm";
import { readDevices, useStore } from "../../store/store";
import { type JobOrder, openDialog, orderJob, select, tell, useUi } from "../../store/ui";

const useStyles = makeStyles({
  root: { padding: "0 20px 8px", flexShrink: 0 },
  bar: { padding: 0, minHeight: "36px", gap: "2px", overflow: "hidden" },
  count: { padding: "0 4px 0 8px", whiteSpace: "nowrap" },
  picked: { backgroundColor: tokens.colorNeutralBackground2, borderRadius: tokens.borderRadiusMedium, padding: "0 4px" },
  action: { whiteSpace: "nowrap", flexShrink: 0 },
  error: { paddingTop: "8px" },
});

type Props = {
  /** Ids that the filter lets through; null without a filter: then every device is meant. */
  shown: string[] | null;
};

export function ActionBar({ shown }: Props) {
  const styles = useStyles();
  const { t } = useTranslation();
  const selected = useUi((ui) => ui.selected);
  const { error, setError, running, run } = useTask();
  const sums = useSelected(selected);

  const start = (ids: string[]) =>
    run(() =>
      withLoad(
        () => ipc.simulatedLoad(ids),
        ({ devices }) => t("devices.start", { count: devices }),
        async (confirmation) => {
          const result = await ipc.startSimulated(ids, confirmation);
          tell({ text: t("devices.started", { count: result.done }), failures: result.failures });
        },
      ),
    );
  const stop = (ids: string[]) =>
    run(async () => {
      const result = await ipc.stopSimulated(ids);
      tell({ text: t("devices.stopped", { count: result.done }), failures: result.failures });
    });

  const navigate = useNavigate();
  const runJob = (order: JobOrder) => {
    orderJob(order);
    void navigate("/jobs/new");
  };

  const root = useRef<HTMLDivElement>(null);
  const width = useWidth(root);
  // The words that say how many go last: first the lesser actions become icons, then the main one is brief.
  const icons = width < 620;
  const brief = width < 540;
  const lesser = (icon: ReactElement, label: string, testId: string, onClick: () => void, disabled = false) =>
    icons ? (
      <Tooltip content={label} relationship="label">
        <ToolbarButton className={styles.action} icon={icon} disabled={disabled} data-testid={testId} onClick={onClick} />
      </Tooltip>
    ) : (
      <ToolbarButton className={styles.action} icon={icon} disabled={disabled} data-testid={testId} onClick={onClick}>
        {label}
      </ToolbarButton>
    );

  return (
    <div ref={root} className={styles.root}>
      {sums.ids.length === 0 ? (
        <Toolbar className={styles.bar} aria-label={t("devices.actions")} size="small">
          <ToolbarButton appearance="primary" className={styles.action} icon={<BeakerRegular />} data-testid="add-simulated" onClick={() => openDialog({ kind: "addSimulated" })}>
            {t("devices.addSimulated")}
          </ToolbarButton>
          {lesser(<AddRegular />, t("devices.create"), "create-device", () => openDialog({ kind: "createDevice" }))}
          {lesser(<TaskListAddRegular />, shown === null ? t("devices.runJobAll") : t("devices.runJob", { count: shown.length }), "run-job", () =>
            runJob({ ids: shown, source: "shown" }),
            shown?.length === 0,
          )}
          <Tooltip content={t("devices.reread")} relationship="label">
            <ToolbarButton icon={<ArrowClockwiseRegular />} onClick={() => void readDevices()} />
          </Tooltip>
        </Toolbar>
      ) : (
        <Toolbar className={mergeClasses(styles.bar, styles.picked)} aria-label={t("devices.selectionActions")} size="small">
          <Text weight="semibold" className={styles.count} aria-live="polite" data-testid="selected-count">
            {t("devices.selected", { count: sums.ids.length })}
          </Text>
          <Button
            size="small"
            appearance="transparent"
            icon={<DismissRegular />}
            aria-label={t("devices.clearSelection")}
            onClick={() => select(new Set(), null)}
          />
          <ToolbarDivider />
          <ToolbarButton
            appearance="primary"
            className={styles.action}
            icon={<ArrowCircleUpRegular />}
            data-testid="update-firmware"
            onClick={() => openDialog({ kind: "updateFirmware", deviceIds: sums.ids })}
          >
            {t(brief ? "devices.updateBrief" : "devices.updateFirmware", { count: sums.ids.length })}
          </ToolbarButton>
          {lesser(<TaskListAddRegular />, t("devices.runJob", { count: sums.ids.length }), "run-job", () => runJob({ ids: sums.ids, source: "selection" }))}
          {sums.stopped.length > 0
            ? lesser(
                <PlayRegular />,
                t("devices.start", { count: sums.stopped.length }),
                "start-simulated",
                () => void start(sums.stopped),
                running,
              )
            : null}
          {sums.running.length > 0
            ? lesser(
                <StopFilled />,
                t("devices.stop", { count: sums.running.length }),
                "stop-simulated",
                () => void stop(sums.running),
                running,
              )
            : null}
          {lesser(<DeleteRegular />, t("devices.delete", { count: sums.ids.length }), "delete-devices", () =>
            openDialog({ kind: "deleteDevices", deviceIds: sums.ids }),
          )}
        </Toolbar>
      )}
      {error ? (
        <div className={styles.error}>
          <ErrorBar error={error} what={t("errors.simulated")} onDismiss={() => setError(null)} />
        </div>
      ) : null}
    </div>
  );
}

/** The picked devices that are still there, and which of them are ours to start or stop. */
function useSelected(selected: ReadonlySet<string>) {
  const table = useThrottled(useStore((model) => model.devices), 300);
  return useMemo(() => {
    const ids: string[] = [];
    const stopped: string[] = [];
    const running: string[] = [];
    for (const id of selected) {
      const row = table.rows.get(id);
      if (!row) continue;
      ids.push(id);
      if (row.simulated === "stopped") stopped.push(id);
      else if (row.simulated !== null) running.push(id);
    }
    return { ids: ids.sort(), stopped, running };
  }, [selected, table]);
}

import { Button, makeStyles, MessageBar, MessageBarActions, MessageBarBody, ProgressBar, Text, tokens } from "@fluentui/react-components";
import { DismissRegular } from "@fluentui/react-icons/svg/dismiss";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { type Fleet, type FleetTask, ipc } from "../../ipc";
import { useTask } from "../../lib/use-task";

const SHOWN = 5;

const useStyles = makeStyles({
  root: { display: "flex", alignItems: "center", gap: "12px" },
  bar: { flexGrow: 1, minWidth: "80px" },
  text: { whiteSpace: "nowrap", fontVariantNumeric: "tabular-nums" },
  list: { margin: "4px 0 0", paddingLeft: "18px", color: tokens.colorNeutralForeground2 },
});

/** Work on the fleet: how far it is, with a way to stop it; afterwards what did not go well. */
export function TaskBar({ fleet }: { fleet: Fleet }) {
  const styles = useStyles();
  const { t } = useTranslation();
  const { running, run } = useTask();
  const { task } = fleet;
  if (!task) return null;
  if (!task.running) return <Outcome task={task} />;
  return (
    <div className={styles.root} role="status" data-testid="fleet-task" data-work={task.work}>
      <Text size={200} className={styles.text}>
        {t(`simulator.progress.${task.work}`, { done: task.done + task.failed, total: task.total })}
      </Text>
      <ProgressBar className={styles.bar} value={task.total === 0 ? 0 : (task.done + task.failed) / task.total} aria-label={t(`simulator.work.${task.work}`)} />
      <Button size="small" disabled={running || task.cancelled} onClick={() => void run(() => ipc.cancelFleetTask(fleet.id))} data-testid="cancel-task">
        {t("common.cancel")}
      </Button>
    </div>
  );
}

function Outcome({ task }: { task: FleetTask }) {
  const styles = useStyles();
  const { t } = useTranslation();
  const [away, setAway] = useState<FleetTask | null>(null);
  const same = away !== null && away.work === task.work && away.done === task.done && away.failed === task.failed;
  if (same || (task.error === null && task.failed === 0 && !task.cancelled)) return null;
  const { work, done, total, failed } = task;
  return (
    <MessageBar intent={task.error || failed > 0 ? "error" : "info"} layout="multiline" data-testid="fleet-outcome" data-work={work}>
      <MessageBarBody>
        {t(task.cancelled ? "simulator.cancelled" : "simulator.ended", { work: t(`simulator.work.${work}`), done, total })}{" "}
        {failed > 0 ? t("simulator.failed", { count: failed }) : null} {task.error?.message} {task.error?.hint}
        {task.failures.length > 0 ? (
          <ul className={styles.list}>
            {task.failures.slice(0, SHOWN).map(({ deviceId, message }) => (
              <li key={deviceId}>{t("devices.failureLine", { id: deviceId, message })}</li>
            ))}
            {failed > SHOWN ? <li>{t("devices.moreFailures", { count: failed - SHOWN })}</li> : null}
          </ul>
        ) : null}
      </MessageBarBody>
      <MessageBarActions
        containerAction={
          <Button appearance="transparent" size="small" icon={<DismissRegular />} aria-label={t("common.dismiss")} onClick={() => setAway(task)} />
        }
      />
    </MessageBar>
  );
}

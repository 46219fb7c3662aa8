import { Button, makeStyles, Skeleton, SkeletonItem, Subtitle1, Text, tokens } from "@fluentui/react-components";
import { ArrowLeftRegular } from "@fluentui/react-icons/svg/arrow-left";
import { StopFilled } from "@fluentui/react-icons/svg/stop";
import { ArrowCircleUpRegular } from "@fluentui/react-icons/svg/arrow-circle-up";
import { type ReactNode, useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate, useParams } from "react-router";
import { ErrorBar } from "../../components/ErrorBar";
import { ErrorState } from "../../components/ErrorState";
import { FormDialog } from "../../components/FormDialog";
import { PageHeader } from "../../components/PageHeader";
import { StatePanel } from "../../components/StatePanel";
import { ipc, type Update, type UpdateStage } from "../../ipc";
import { formatDuration, formatNumber } from "../../lib/format";
import { useDelayed } from "../../lib/use-delayed";
import { useNow } from "../../lib/use-now";
import { useTask } from "../../lib/use-task";
import { readUpdateDevices, readUpdates, useStore } from "../../store/store";
import { isOver } from "../../store/updates";
import { StageBar } from "./StageBar";
import { UpdateDeviceList } from "./UpdateDeviceList";
import { UpdateStateBadge } from "./UpdateStateBadge";

const useStyles = makeStyles({
  root: { display: "flex", flexDirection: "column", flexGrow: 1, minHeight: 0, overflow: "auto" },
  body: { padding: "0 20px 16px", display: "flex", flexDirection: "column", gap: "14px", flexGrow: 1, minHeight: 0 },
  top: { display: "flex", gap: "8px 28px", alignItems: "center", justifyContent: "space-between", flexWrap: "wrap" },
  state: { display: "flex", gap: "12px", alignItems: "center", flexWrap: "wrap" },
  sums: { display: "flex", gap: "28px", flexWrap: "wrap" },
  sum: { display: "flex", flexDirection: "column" },
  quiet: { color: tokens.colorNeutralForeground2 },
  good: { color: tokens.colorPaletteGreenForeground1 },
  bad: { color: tokens.colorPaletteRedForeground1 },
});

export function UpdatePage() {
  const styles = useStyles();
  const { t } = useTranslation();
  const navigate = useNavigate();
  const id = Number(useParams().id);
  const update = useStore((model) => model.updates.byId[id]);
  const { error, run, running } = useTask();
  const slow = useDelayed(!update && running);

  useEffect(() => {
    void run(async () => {
      if (!useStore.getState().updates.byId[id]) await readUpdates();
      await readUpdateDevices(id);
    });
  }, [id, run]);

  if (!update) {
    if (error) return <ErrorState error={error} what={t("errors.updates")} onRetry={() => void run(readUpdates)} />;
    if (running) return slow ? <Skeleton aria-label={t("common.loading")}><SkeletonItem size={96} /></Skeleton> : null;
    return (
      <StatePanel icon={<ArrowCircleUpRegular />} title={t("updates.gone")}>
        <Button onClick={() => void navigate("/updates")}>{t("updates.all")}</Button>
      </StatePanel>
    );
  }
  return (
    <div className={styles.root}>
      <PageHeader title={t("updates.title", { name: update.packageName })} sub={update.uri}>
        <Button size="small" appearance="subtle" icon={<ArrowLeftRegular />} onClick={() => void navigate("/updates")}>
          {t("updates.all")}
        </Button>
        {update.state === "running" ? <StopButton update={update} /> : null}
      </PageHeader>
      <Body update={update} error={<ErrorBar error={error} what={t("errors.updateDevices")} onRetry={() => void run(() => readUpdateDevices(id))} />} />
    </div>
  );
}

function Body({ update, error }: { update: Update; error: ReactNode }) {
  const styles = useStyles();
  const { t } = useTranslation();
  const [stage, setStage] = useState<UpdateStage | null>(null);
  return (
    <div className={styles.body}>
      <div className={styles.top}>
        <div className={styles.state} role="status">
          <UpdateStateBadge state={update.state} testId="update-state" />
          <Subtitle1>{update.summary}</Subtitle1>
        </div>
        <div className={styles.sums}>
          <Sum name={t("updates.succeeded")} value={formatNumber(update.succeeded)} testId="update-succeeded" tone={update.succeeded > 0 ? styles.good : undefined} />
          <Sum name={t("updates.failed")} value={formatNumber(update.failed)} testId="update-failed" tone={update.failed > 0 ? styles.bad : undefined} />
          <Sum name={t("updates.total")} value={formatNumber(update.total)} testId="update-total" />
          <div className={styles.sum}>
            <Text size={200} className={styles.quiet}>
              {t("updates.elapsed")}
            </Text>
            <Text size={500} weight="semibold">
              <Elapsed from={update.startedAt} to={update.endedAt} />
            </Text>
          </div>
        </div>
      </div>
      <StageBar update={update} chosen={stage} onChoose={setStage} />
      {error}
      <UpdateDeviceList updateId={update.id} stage={stage} isOver={isOver(update)} />
    </div>
  );
}

function Sum({ name, value, testId, tone }: { name: string; value: string; testId: string; tone?: string }) {
  const styles = useStyles();
  return (
    <div className={styles.sum}>
      <Text size={200} className={styles.quiet}>
        {name}
      </Text>
      <Text size={500} weight="semibold" className={tone} data-testid={testId}>
        {value}
      </Text>
    </div>
  );
}

function Elapsed({ from, to }: { from: string; to: string | null }) {
  const now = useNow(1000);
  return formatDuration((to === null ? now : new Date(to).getTime()) - new Date(from).getTime());
}

function StopButton({ update }: { update: Update }) {
  const { t } = useTranslation();
  const [asking, setAsking] = useState(false);
  const { running, error, run } = useTask();
  return (
    <>
      <Button icon={<StopFilled />} onClick={() => setAsking(true)} data-testid="stop-update">
        {t("updates.stop")}
      </Button>
      {asking ? (
        <FormDialog
          title={t("updates.stopTitle")}
          submit={t("updates.stop")}
          submitTestId="stop-update-confirm"
          danger
          running={running}
          error={error}
          onClose={() => setAsking(false)}
          onSubmit={() =>
            void run(async () => {
              await ipc.cancelUpdate(update.id);
              setAsking(false);
            })
          }
        >
          <Text>{t("updates.stopText")}</Text>
        </FormDialog>
      ) : null}
    </>
  );
}

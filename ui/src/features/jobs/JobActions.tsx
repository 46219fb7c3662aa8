import { Button, makeStyles, Spinner, Text } from "@fluentui/react-components";
import { ArrowClockwiseRegular } from "@fluentui/react-icons/svg/arrow-clockwise";
import { ArrowExportRegular } from "@fluentui/react-icons/svg/arrow-export";
import { ArrowRepeatAllRegular } from "@fluentui/react-icons/svg/arrow-repeat-all";
import { StopFilled } from "@fluentui/react-icons/svg/stop";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate } from "react-router";
import { ErrorBar } from "../../components/ErrorBar";
import { FormDialog } from "../../components/FormDialog";
import { ipc, type Job } from "../../ipc";
import { useTask } from "../../lib/use-task";
import { hasEnded } from "../../store/jobs";

const useStyles = makeStyles({ bar: { flexBasis: "100%" } });

export function JobActions({ job }: { job: Job }) {
  const styles = useStyles();
  const { t } = useTranslation();
  const navigate = useNavigate();
  const [asking, setAsking] = useState(false);
  const [written, setWritten] = useState<number | null>(null);
  const exporting = useTask();
  const ended = hasEnded(job);
  const missed = job.failed + job.unknown + job.cancelled;
  const go = (how: "repeat" | "retry") => void navigate(`/jobs/new?${how}=${encodeURIComponent(job.id)}`);
  const save = () =>
    void exporting.run(async () => {
      setWritten(null);
      setWritten(await ipc.exportJob(job.id));
    });
  return (
    <>
      {ended ? null : (
        <Button size="small" icon={<StopFilled />} disabled={job.cancelling} onClick={() => setAsking(true)} data-testid="cancel-job">
          {t("jobs.cancel.button")}
        </Button>
      )}
      {ended && missed > 0 && job.ours ? (
        <Button size="small" appearance="primary" icon={<ArrowClockwiseRegular />} onClick={() => go("retry")} data-testid="retry-job">
          {t("jobs.retry", { count: missed })}
        </Button>
      ) : null}
      {job.ours ? (
        <Button size="small" icon={<ArrowRepeatAllRegular />} onClick={() => go("repeat")} data-testid="repeat-job">
          {t("jobs.repeat")}
        </Button>
      ) : null}
      <Button
        size="small"
        icon={exporting.running ? <Spinner size="tiny" /> : <ArrowExportRegular />}
        disabled={exporting.running || job.total === 0}
        onClick={save}
        data-testid="export-job"
      >
        {t("jobs.export")}
      </Button>
      {written === null ? null : (
        <Text size={200} role="status">
          {t("jobs.exported", { count: written })}
        </Text>
      )}
      {exporting.error ? (
        <div className={styles.bar}>
          <ErrorBar error={exporting.error} what={t("errors.exportJob")} onDismiss={() => exporting.setError(null)} />
        </div>
      ) : null}
      {asking ? <CancelDialog job={job} onClose={() => setAsking(false)} /> : null}
    </>
  );
}

function CancelDialog({ job, onClose }: { job: Job; onClose: () => void }) {
  const { t } = useTranslation();
  const { running, error, run } = useTask();
  const hasStarted = job.startedAt !== null;
  return (
    <FormDialog
      title={t("jobs.cancel.title", { title: job.title })}
      submit={t("jobs.cancel.submit")}
      submitTestId="cancel-job-confirm"
      keep={t("jobs.cancel.keep")}
      danger
      running={running}
      error={error}
      onClose={onClose}
      onSubmit={() =>
        void run(async () => {
          await ipc.cancelJob(job.id);
          onClose();
        })
      }
    >
      <Text>{hasStarted ? t(`jobs.cancel.${job.runner}Running`) : t("jobs.cancel.notStarted")}</Text>
    </FormDialog>
  );
}

import { Button, makeStyles } from "@fluentui/react-components";
import { TaskListLtrRegular } from "@fluentui/react-icons/svg/task-list-ltr";
import { useCallback } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate } from "react-router";
import { ErrorBar } from "../../components/ErrorBar";
import { StatePanel } from "../../components/StatePanel";
import { ipc } from "../../ipc";
import { useStore } from "../../store/store";
import { orderJob } from "../../store/ui";
import { filterOf, noFilters } from "./filters";
import { JobList } from "./JobList";
import { usePages } from "./use-pages";

const useStyles = makeStyles({
  root: { display: "flex", flexDirection: "column", flexGrow: 1, minHeight: 0, padding: "12px 12px 0", gap: "8px" },
  bar: { padding: "0 8px" },
});

/** On a device's page: the jobs that had it. */
export function DeviceJobs({ deviceId }: { deviceId: string }) {
  const styles = useStyles();
  const { t } = useTranslation();
  const navigate = useNavigate();
  const read = useCallback((offset: number, limit: number) => ipc.listJobs(filterOf({ ...noFilters, device: deviceId }, 0), offset, limit), [deviceId]);
  const news = useStore((model) => `${model.jobs.told} ${model.readings}`);
  const { pages, newest, error, show, look } = usePages(read, news);
  const runJob = () => {
    orderJob({ ids: [deviceId], source: "selection" });
    void navigate("/jobs/new");
  };
  return (
    <div className={styles.root}>
      <div className={styles.bar}>
        <Button size="small" onClick={runJob} data-testid="device-run-job">
          {t("jobs.runOnThis")}
        </Button>
      </div>
      <ErrorBar error={error} what={t("errors.jobs")} onRetry={look} />
      {newest === null ? null : newest.total > 0 ? (
        <JobList label={t("jobs.ofDevice", { id: deviceId })} pages={pages} total={newest.total} onShow={show} />
      ) : (
        <StatePanel icon={<TaskListLtrRegular />} title={t("jobs.noneOfDevice")} text={t("jobs.noneOfDeviceText")} />
      )}
    </div>
  );
}

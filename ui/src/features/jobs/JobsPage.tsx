import { Button, makeStyles, Skeleton, SkeletonItem } from "@fluentui/react-components";
import { AddRegular } from "@fluentui/react-icons/svg/add";
import { PlugDisconnectedRegular } from "@fluentui/react-icons/svg/plug-disconnected";
import { SearchRegular } from "@fluentui/react-icons/svg/search";
import { TaskListLtrRegular } from "@fluentui/react-icons/svg/task-list-ltr";
import { useCallback, useDeferredValue, useState } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate } from "react-router";
import { ErrorBar } from "../../components/ErrorBar";
import { ErrorState } from "../../components/ErrorState";
import { PageHeader } from "../../components/PageHeader";
import { StatePanel } from "../../components/StatePanel";
import { ipc } from "../../ipc";
import { useDelayed } from "../../lib/use-delayed";
import { useActiveHub, useStore } from "../../store/store";
import { filterOf, isFiltered, noFilters } from "./filters";
import { JobFilters } from "./JobFilters";
import { JobList } from "./JobList";
import { useFilters } from "./use-filters";
import { usePages } from "./use-pages";

const useStyles = makeStyles({
  root: { display: "flex", flexDirection: "column", flexGrow: 1, minHeight: 0 },
  bars: { padding: "0 20px 8px" },
  list: { display: "flex", flexDirection: "column", flexGrow: 1, minHeight: 0, padding: "0 12px" },
  skeleton: { padding: "12px 20px", display: "flex", flexDirection: "column", gap: "18px" },
});

export function JobsPage() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const hub = useActiveHub()?.hub;
  if (!hub) {
    return (
      <StatePanel icon={<PlugDisconnectedRegular />} title={t("status.noHub")} text={t("jobs.noHub")}>
        <Button appearance="primary" onClick={() => void navigate("/welcome")}>
          {t("updates.toHubs")}
        </Button>
      </StatePanel>
    );
  }
  return <Jobs key={hub.id} />;
}

function Jobs() {
  const styles = useStyles();
  const { t } = useTranslation();
  const navigate = useNavigate();
  const [filters, change] = useFilters();
  const [began] = useState(() => Date.now());
  const asked = useDeferredValue(filters);
  const read = useCallback((offset: number, limit: number) => ipc.listJobs(filterOf(asked, began), offset, limit), [asked, began]);
  const news = useStore((model) => `${model.jobs.told} ${model.readings}`);
  const { pages, newest, error, show, look } = usePages(read, news);
  const slow = useDelayed(newest === null && error === null);
  const filtered = isFiltered(filters);
  const total = newest?.total ?? 0;
  const clear = () => change(noFilters);

  return (
    <div className={styles.root}>
      <PageHeader
        title={t("nav.jobs")}
        sub={
          <span aria-live="polite" data-testid="job-count" data-total={total}>
            {newest === null ? null : filtered ? t("jobs.countMatching", { count: total }) : t("jobs.count", { count: total })}
          </span>
        }
      >
        <Button appearance="primary" icon={<AddRegular />} onClick={() => void navigate("/jobs/new")} data-testid="new-job">
          {t("jobs.new")}
        </Button>
      </PageHeader>
      {newest !== null && (newest.byState.length > 0 || filtered) ? (
        <JobFilters
          filters={filters}
          counts={newest.byState}
          onChange={change}
          onClear={clear}
        />
      ) : null}
      {error && newest !== null ? (
        <div className={styles.bars}>
          <ErrorBar error={error} what={t("errors.jobs")} onRetry={look} />
        </div>
      ) : null}
      {total > 0 ? (
        <div className={styles.list}>
          <JobList label={t("nav.jobs")} pages={pages} total={total} onShow={show} />
        </div>
      ) : newest !== null ? (
        filtered ? (
          <StatePanel icon={<SearchRegular />} title={t("jobs.noMatch")} text={t("jobs.noMatchText")}>
            <Button onClick={clear}>{t("jobs.filter.clear")}</Button>
          </StatePanel>
        ) : (
          <StatePanel icon={<TaskListLtrRegular />} title={t("jobs.empty")} text={t("jobs.emptyText")}>
            <Button appearance="primary" onClick={() => void navigate("/jobs/new")}>
              {t("jobs.new")}
            </Button>
          </StatePanel>
        )
      ) : error ? (
        <ErrorState error={error} what={t("errors.jobs")} onRetry={look} />
      ) : slow ? (
        <Skeleton className={styles.skeleton} aria-label={t("common.loading")}>
          {Array.from({ length: 8 }, (_, index) => (
            <SkeletonItem key={index} size={20} />
          ))}
        </Skeleton>
      ) : null}
    </div>
  );
}

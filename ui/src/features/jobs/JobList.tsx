import { makeStyles, Text, tokens } from "@fluentui/react-components";
import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate } from "react-router";
import { Glow } from "../../components/Glow";
import { RelativeTime } from "../../components/RelativeTime";
import type { Job, JobPage } from "../../ipc";
import { useStore } from "../../store/store";
import { JobBar } from "./JobBar";
import { type GridColumn, PagedGrid } from "./PagedGrid";
import { JobMark } from "./states";
import { rowIn } from "./use-pages";
import { isForAll, progressText, targetText } from "./words";

type Key = "state" | "title" | "target" | "runner" | "progress" | "created" | "origin";

const widths: { key: Key; width: string; from: number }[] = [
  { key: "state", width: "124px", from: 0 },
  { key: "title", width: "minmax(120px, 1.4fr)", from: 0 },
  { key: "target", width: "minmax(100px, 1.2fr)", from: 760 },
  { key: "runner", width: "96px", from: 620 },
  { key: "progress", width: "minmax(150px, 1.3fr)", from: 360 },
  { key: "created", width: "104px", from: 480 },
  { key: "origin", width: "88px", from: 960 },
];

const useStyles = makeStyles({
  progress: { display: "flex", flexDirection: "column", gap: "3px" },
  cut: { overflow: "hidden", textOverflow: "ellipsis" },
  code: { fontFamily: tokens.fontFamilyMonospace, fontSize: tokens.fontSizeBase200 },
  quiet: { color: tokens.colorNeutralForeground2 },
});

const jobsOf = (page: JobPage) => page.jobs;

type Props = { label: string; pages: ReadonlyMap<number, JobPage>; total: number; onShow: (first: number, last: number) => void };

/** Jobs as events last told them: a page is only as new as its reading. */
export function JobList({ label, pages, total, onShow }: Props) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const told = useStore((model) => model.jobs.byId);
  const columns = useMemo(() => widths.map((column): GridColumn<Key> => ({ ...column, title: t(`jobs.columns.${column.key}`) })), [t]);
  return (
    <PagedGrid
      label={label}
      columns={columns}
      total={total}
      rowAt={(index) => {
        const job = rowIn(pages, jobsOf, index);
        return job && (told.get(job.id) ?? job);
      }}
      idOf={(job) => job.id}
      factsOf={(job) => ({ "data-testid": "job-row", "data-job-id": job.id, "data-state": job.state, "data-kind": job.kind })}
      cell={(job, key) => <Cell job={job} column={key} />}
      onShow={onShow}
      onOpen={(job) => void navigate(`/jobs/${encodeURIComponent(job.id)}`)}
      testId="job-list"
    />
  );
}

function Cell({ job, column }: { job: Job; column: Key }) {
  const styles = useStyles();
  const { t } = useTranslation();
  switch (column) {
    case "state":
      return (
        <Glow of={job.id} value={job.state}>
          <JobMark job={job} />
        </Glow>
      );
    case "title":
      return <span title={job.title}>{job.title}</span>;
    case "target": {
      const text = targetText(job);
      return (
        <span className={isForAll(job) ? undefined : styles.code} title={text}>
          {text}
        </span>
      );
    }
    case "runner":
      return t(`jobs.runners.${job.runner}`);
    case "progress":
      return (
        <span className={styles.progress}>
          <JobBar job={job} />
          <Text size={200} className={styles.cut} title={progressText(job)}>
            {progressText(job)}
          </Text>
        </span>
      );
    case "created":
      return (
        <span className={styles.quiet}>
          <RelativeTime time={job.createdAt} />
        </span>
      );
    case "origin":
      return <span className={styles.quiet}>{t(job.ours ? "jobs.origin.here" : "jobs.origin.elsewhere")}</span>;
  }
}

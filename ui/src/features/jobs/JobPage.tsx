import { Button, makeStyles, Skeleton, SkeletonItem, Subtitle1, Text, tokens, Tooltip } from "@fluentui/react-components";
import { ArrowLeftRegular } from "@fluentui/react-icons/svg/arrow-left";
import { CheckmarkRegular } from "@fluentui/react-icons/svg/checkmark";
import { CopyRegular } from "@fluentui/react-icons/svg/copy";
import { PlugDisconnectedRegular } from "@fluentui/react-icons/svg/plug-disconnected";
import { TaskListLtrRegular } from "@fluentui/react-icons/svg/task-list-ltr";
import { type ReactNode, useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate, useParams } from "react-router";
import { ErrorState } from "../../components/ErrorState";
import { PageHeader } from "../../components/PageHeader";
import { RelativeTime } from "../../components/RelativeTime";
import { StatePanel } from "../../components/StatePanel";
import { type AppError, ipc, type Job, toAppError } from "../../ipc";
import { copyText } from "../../lib/clipboard";
import { formatAbsolute, formatDuration } from "../../lib/format";
import { useDelayed } from "../../lib/use-delayed";
import { useNow } from "../../lib/use-now";
import { useActiveHub, useStore } from "../../store/store";
import { JobActions } from "./JobActions";
import { JobBar } from "./JobBar";
import { JobDevices } from "./JobDevices";
import { JobMark } from "./states";
import { estimateText, isForAll, progressText, targetText } from "./words";

const useStyles = makeStyles({
  root: { display: "flex", flexDirection: "column", flexGrow: 1, minHeight: 0 },
  body: { display: "flex", flexDirection: "column", gap: "12px", flexGrow: 1, minHeight: 0, padding: "0 20px" },
  state: { display: "flex", gap: "4px 16px", alignItems: "baseline", flexWrap: "wrap" },
  reason: { color: tokens.colorNeutralForeground2, overflowWrap: "anywhere", flexBasis: "240px", flexGrow: 1 },
  facts: { display: "flex", flexWrap: "wrap", gap: "8px 28px", margin: 0 },
  fact: { display: "flex", flexDirection: "column", minWidth: 0 },
  name: { color: tokens.colorNeutralForeground2, fontSize: tokens.fontSizeBase200 },
  value: { margin: 0, minWidth: 0, overflowWrap: "anywhere", minHeight: "24px", display: "flex", alignItems: "center" },
  code: { fontFamily: tokens.fontFamilyMonospace, fontSize: tokens.fontSizeBase200 },
  skeleton: { padding: "20px", display: "flex", flexDirection: "column", gap: "16px" },
});

export function JobPage() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const { id = "" } = useParams();
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
  return <Reading key={`${hub.id} ${id}`} id={id} />;
}

/** The job as it was read, or as an event has told it since. */
function useJob(id: string) {
  const told = useStore((model) => model.jobs.byId.get(id));
  const readings = useStore((model) => model.readings);
  const [job, setJob] = useState<Job | null>(null);
  const [error, setError] = useState<AppError | null>(null);
  const [asked, setAsked] = useState(0);
  useEffect(() => {
    let current = true;
    ipc.getJob(id).then(
      (read) => {
        if (!current) return;
        setJob(read);
        setError(null);
      },
      (thrown: unknown) => current && setError(toAppError(thrown)),
    );
    return () => {
      current = false;
    };
  }, [id, readings, asked]);
  return { job: told ?? job, error, again: () => setAsked((count) => count + 1) };
}

function Reading({ id }: { id: string }) {
  const styles = useStyles();
  const { t } = useTranslation();
  const navigate = useNavigate();
  const { job, error, again } = useJob(id);
  const slow = useDelayed(job === null && error === null);
  if (job) return <Detail job={job} />;
  if (error?.code === "NotFound") {
    return (
      <StatePanel icon={<TaskListLtrRegular />} title={t("jobs.gone")} text={t("jobs.goneText")}>
        <Button onClick={() => void navigate("/jobs")}>{t("jobs.all")}</Button>
      </StatePanel>
    );
  }
  if (error) return <ErrorState error={error} what={t("errors.job")} onRetry={again} />;
  return slow ? (
    <Skeleton className={styles.skeleton} aria-label={t("common.loading")}>
      <SkeletonItem size={32} />
      <SkeletonItem size={96} />
    </Skeleton>
  ) : null;
}

function Detail({ job }: { job: Job }) {
  const styles = useStyles();
  const { t } = useTranslation();
  const navigate = useNavigate();
  return (
    <div className={styles.root} data-testid="job-page" data-job-id={job.id} data-state={job.state} data-runner={job.runner}>
      <PageHeader title={job.title} sub={<span className={isForAll(job) ? undefined : styles.code}>{targetText(job)}</span>}>
        <Button size="small" appearance="subtle" icon={<ArrowLeftRegular />} onClick={() => void navigate("/jobs")}>
          {t("jobs.all")}
        </Button>
        <JobActions job={job} />
      </PageHeader>
      <div className={styles.body}>
        <div className={styles.state} role="status">
          <Subtitle1>
            <JobMark job={job} />
          </Subtitle1>
          <Text data-testid="job-progress">{job.state === "scheduled" && job.startAt !== null ? <StartsIn at={job.startAt} /> : progressText(job)}</Text>
          {job.reason ? <Text className={styles.reason}>{job.reason}</Text> : null}
        </div>
        <JobBar job={job} large />
        <Facts job={job} />
        <JobDevices job={job} />
      </div>
    </div>
  );
}

function Facts({ job }: { job: Job }) {
  const styles = useStyles();
  const { t } = useTranslation();
  const time = (moment: string | null) => (moment === null ? null : <RelativeTime time={moment} />);
  const isWaiting = job.startedAt === null && job.startAt !== null;
  return (
    <dl className={styles.facts}>
      <Fact name={t("jobs.facts.runner")}>{t(`jobs.who.${job.runner}`)}</Fact>
      <Fact name={t("jobs.columns.origin")}>{t(job.ours ? "jobs.origin.here" : "jobs.origin.elsewhere")}</Fact>
      <Fact name={t("jobs.columns.created")}>{time(job.createdAt)}</Fact>
      {isWaiting && job.startAt !== null ? <Fact name={t("jobs.facts.startAt")}>{formatAbsolute(job.startAt)}</Fact> : null}
      <Fact name={t("jobs.facts.startedAt")}>{time(job.startedAt)}</Fact>
      <Fact name={t("jobs.facts.endedAt")}>{time(job.endedAt)}</Fact>
      <Fact name={t(job.endedAt === null ? "jobs.facts.soFar" : "jobs.facts.took")}>{job.startedAt === null ? null : <Elapsed from={job.startedAt} to={job.endedAt} />}</Fact>
      <Fact name={t("jobs.facts.limit")}>{t("jobs.facts.minutes", { count: job.maxMinutes })}</Fact>
      <Fact name={t("jobs.dry.estimate")}>{job.estimatedSeconds === null || job.endedAt !== null ? null : estimateText(job.estimatedSeconds)}</Fact>
      <Fact name={t("jobs.facts.id")}>
        <span className={styles.code} data-testid="job-id">
          {job.id}
        </span>
        <CopyButton text={job.id} />
      </Fact>
    </dl>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  const styles = useStyles();
  return children === null ? null : (
    <div className={styles.fact}>
      <dt className={styles.name}>{name}</dt>
      <dd className={styles.value}>{children}</dd>
    </div>
  );
}

function StartsIn({ at }: { at: string }) {
  const { t } = useTranslation();
  const left = Date.parse(at) - useNow(1000);
  // In whole seconds: it ticks by the second.
  return left < 1000 ? t("jobs.startsNow") : t("jobs.startsIn", { time: formatDuration(Math.floor(left / 1000) * 1000) });
}

function Elapsed({ from, to }: { from: string; to: string | null }) {
  const now = useNow(1000);
  return formatDuration((to === null ? now : new Date(to).getTime()) - new Date(from).getTime());
}

function CopyButton({ text }: { text: string }) {
  const { t } = useTranslation();
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => setCopied(false), 3000);
    return () => clearTimeout(timer);
  }, [copied]);
  return (
    <Tooltip content={copied ? t("jobs.copied") : t("jobs.copyId")} relationship="label" {...(copied ? { visible: true } : {})}>
      <Button
        size="small"
        appearance="subtle"
        icon={copied ? <CheckmarkRegular /> : <CopyRegular />}
        onClick={() => void copyText(text).then(() => setCopied(true))}
        data-testid="copy-job-id"
      />
    </Tooltip>
  );
}

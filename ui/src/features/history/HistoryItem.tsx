import { Badge, Link, makeStyles, mergeClasses, Text, tokens } from "@fluentui/react-components";
import { ArrowDownloadRegular } from "@fluentui/react-icons/svg/arrow-download";
import { CheckmarkCircleRegular } from "@fluentui/react-icons/svg/checkmark-circle";
import { DeveloperBoardRegular } from "@fluentui/react-icons/svg/developer-board";
import { EditRegular } from "@fluentui/react-icons/svg/edit";
import { ErrorCircleRegular } from "@fluentui/react-icons/svg/error-circle";
import { HourglassHalfRegular } from "@fluentui/react-icons/svg/hourglass-half";
import { PeopleRegular } from "@fluentui/react-icons/svg/people";
import { TaskListSquareLtrRegular } from "@fluentui/react-icons/svg/task-list-square-ltr";
import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate } from "react-router";
import { JsonValueText } from "../../components/JsonValueText";
import { RelativeTime } from "../../components/RelativeTime";
import type { Author, HistoryEntry, JobState, MethodCall, TwinChange, UpdateStage } from "../../ipc";
import { formatDuration } from "../../lib/format";

/** Paths shown before somebody asks for all. */
const SHOWN = 6;

const useStyles = makeStyles({
  item: { display: "flex", gap: "10px", padding: "10px 0", borderBottom: `1px solid ${tokens.colorNeutralStroke3}` },
  icon: { fontSize: "16px", lineHeight: "20px", flexShrink: 0, color: tokens.colorNeutralForeground3 },
  good: { color: tokens.colorPaletteGreenForeground1 },
  bad: { color: tokens.colorPaletteRedForeground1 },
  body: { display: "flex", flexDirection: "column", gap: "4px", flexGrow: 1, minWidth: 0 },
  head: { display: "flex", flexWrap: "wrap", alignItems: "baseline", gap: "2px 10px" },
  time: { color: tokens.colorNeutralForeground3, marginLeft: "auto", whiteSpace: "nowrap" },
  quiet: { color: tokens.colorNeutralForeground3 },
  payload: { fontFamily: tokens.fontFamilyMonospace, color: tokens.colorNeutralForeground3, overflow: "hidden", textOverflow: "ellipsis", whiteSpace: "nowrap" },
  paths: { listStyleType: "none", margin: 0, padding: 0, display: "flex", flexDirection: "column", gap: "2px" },
  path: { display: "flex", flexWrap: "wrap", gap: "0 8px", alignItems: "baseline" },
  name: { fontFamily: tokens.fontFamilyMonospace, fontSize: tokens.fontSizeBase200, fontWeight: tokens.fontWeightSemibold, overflowWrap: "anywhere" },
});

export function HistoryItem({ entry, deviceId }: { entry: HistoryEntry; deviceId: string }) {
  switch (entry.kind) {
    case "twin":
      return <TwinItem at={entry.at} change={entry.change} />;
    case "call":
      return <CallItem at={entry.at} call={entry.call} deviceId={deviceId} />;
    case "update":
      return <UpdateItem {...entry} />;
    case "job":
      return <JobItem {...entry} />;
  }
}

type FrameProps = { kind: HistoryEntry["kind"]; icon: ReactNode; tone?: "good" | "bad" | undefined; at: string; head: ReactNode; children?: ReactNode };

function Frame({ kind, icon, tone, at, head, children }: FrameProps) {
  const styles = useStyles();
  return (
    <li className={styles.item} data-testid="history-entry" data-kind={kind}>
      <span className={mergeClasses(styles.icon, tone && styles[tone])} aria-hidden>
        {icon}
      </span>
      <div className={styles.body}>
        <div className={styles.head}>
          {head}
          <Text size={200} className={styles.time}>
            <RelativeTime time={at} />
          </Text>
        </div>
        {children}
      </div>
    </li>
  );
}

const authors: Record<Author, ReactNode> = { here: <EditRegular />, elsewhere: <PeopleRegular />, device: <DeveloperBoardRegular /> };

function TwinItem({ at, change: { section, author, version, paths, more } }: { at: string; change: TwinChange }) {
  const styles = useStyles();
  const { t } = useTranslation();
  const [all, setAll] = useState(false);
  return (
    <Frame
      kind="twin"
      at={at}
      icon={authors[author]}
      head={
        <>
          <Text weight="semibold">{t(`history.changed.${section}`)}</Text>
          <Text size={200} className={styles.quiet}>
            {t("history.by", { author: t(`history.author.${author}`), version })}
          </Text>
        </>
      }
    >
      <ul className={styles.paths}>
        {paths.slice(0, all ? paths.length : SHOWN).map(({ path, before, after }) => (
          <li key={path} className={styles.path} data-testid="history-path" data-path={path}>
            <span className={styles.name}>{path}</span>
            {before === null ? null : <JsonValueText value={before} gone />}
            {before === null || after === null ? (
              <Text size={200} className={styles.quiet}>
                {t(before === null ? "history.new" : "history.removed")}
              </Text>
            ) : (
              <span aria-label={t("history.becomes")} role="img">
                →
              </span>
            )}
            {after === null ? null : <JsonValueText value={after} />}
          </li>
        ))}
      </ul>
      {!all && paths.length > SHOWN ? (
        <Text size={200}>
          <Link as="button" type="button" onClick={() => setAll(true)}>
            {t("history.all", { count: paths.length })}
          </Link>
        </Text>
      ) : null}
      {more > 0 ? (
        <Text size={200} className={styles.quiet}>
          {t("history.notKept", { count: more })}
        </Text>
      ) : null}
    </Frame>
  );
}

function CallItem({ at, call, deviceId }: { at: string; call: MethodCall; deviceId: string }) {
  const styles = useStyles();
  const { t } = useTranslation();
  const navigate = useNavigate();
  const good = call.status !== null && call.status >= 200 && call.status < 300;
  const ended = call.durationMs !== null;
  return (
    <Frame
      kind="call"
      at={at}
      icon={!ended ? <HourglassHalfRegular /> : good ? <CheckmarkCircleRegular /> : <ErrorCircleRegular />}
      tone={!ended ? undefined : good ? "good" : "bad"}
      head={
        <>
          <Text weight="semibold">
            <Link as="button" type="button" onClick={() => void navigate(`/devices/${encodeURIComponent(deviceId)}?tab=methods`)}>
              {t("history.call", { name: call.methodName })}
            </Link>
          </Text>
          <Text size={200} className={styles.quiet}>
            {call.durationMs === null
              ? t("methods.runningShort")
              : call.status === null
                ? (call.error?.message ?? t("methods.failedShort"))
                : t("methods.line", { status: call.status, duration: formatDuration(call.durationMs) })}
          </Text>
        </>
      }
    >
      {call.payloadText.trim() === "" ? null : (
        <Text size={200} className={styles.payload} title={call.payloadText}>
          {call.payloadText}
        </Text>
      )}
    </Frame>
  );
}

type UpdateProps = { id: number; at: string; stage: UpdateStage; packageName: string; reason: string | null };

function UpdateItem({ id, at, stage, packageName, reason }: UpdateProps) {
  const { t } = useTranslation();
  const tone = stage === "completed" ? "good" : stage === "failed" || stage === "timedOut" ? "bad" : undefined;
  const title = t("updates.title", { name: packageName });
  return <Deed kind="update" at={at} icon={<ArrowDownloadRegular />} tone={tone} to={`/updates/${id}`} title={title} state={t(`stages.${stage}`)} reason={reason} />;
}

type JobProps = { at: string; jobId: string; title: string; state: JobState; reason: string | null };

function JobItem({ at, jobId, title, state, reason }: JobProps) {
  const { t } = useTranslation();
  const tone = state === "completed" ? "good" : state === "failed" ? "bad" : undefined;
  const to = `/jobs/${encodeURIComponent(jobId)}`;
  return <Deed kind="job" at={at} icon={<TaskListSquareLtrRegular />} tone={tone} to={to} title={title} state={t(`jobs.deviceStates.${state}`)} reason={reason} />;
}

type DeedProps = Pick<FrameProps, "kind" | "at" | "icon" | "tone"> & { to: string; title: string; state: string; reason: string | null };

/** The device's part in something that has a page of its own. */
function Deed({ to, title, state, reason, ...frame }: DeedProps) {
  const styles = useStyles();
  const navigate = useNavigate();
  return (
    <Frame
      {...frame}
      head={
        <>
          <Text weight="semibold">
            <Link as="button" type="button" onClick={() => void navigate(to)}>
              {title}
            </Link>
          </Text>
          <Badge appearance="tint" shape="rounded" color="informative">
            {state}
          </Badge>
        </>
      }
    >
      {reason ? (
        <Text size={200} className={styles.quiet}>
          {reason}
        </Text>
      ) : null}
    </Frame>
  );
}

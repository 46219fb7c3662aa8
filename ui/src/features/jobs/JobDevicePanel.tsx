import { Button, Link, makeStyles, Text, Title3, tokens, Tooltip } from "@fluentui/react-components";
import { CircleRegular } from "@fluentui/react-icons/svg/circle";
import { CheckmarkCircleRegular } from "@fluentui/react-icons/svg/checkmark-circle";
import { DismissRegular } from "@fluentui/react-icons/svg/dismiss";
import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate } from "react-router";
import { JsonLines } from "../../components/JsonLines";
import type { JobDevice } from "../../ipc";
import { formatAbsolute, formatDuration, formatTime } from "../../lib/format";
import { parseText } from "../../lib/json-text";
import { DeviceStateMark } from "./states";

const useStyles = makeStyles({
  root: { display: "flex", flexDirection: "column", gap: "12px", padding: "8px 16px 16px" },
  head: { display: "flex", alignItems: "center", gap: "4px", minWidth: 0 },
  title: { flexGrow: 1, minWidth: 0, overflow: "hidden", textOverflow: "ellipsis", whiteSpace: "nowrap" },
  facts: { display: "grid", gridTemplateColumns: "auto minmax(0, 1fr)", gap: "4px 16px", margin: 0 },
  name: { color: tokens.colorNeutralForeground2 },
  value: { margin: 0, overflowWrap: "anywhere" },
  code: { fontFamily: tokens.fontFamilyMonospace, fontSize: tokens.fontSizeBase200 },
  phases: { listStyleType: "none", margin: 0, padding: 0, display: "flex", flexDirection: "column", gap: "4px" },
  phase: { display: "grid", gridTemplateColumns: "20px minmax(90px, auto) auto 1fr", gap: "8px", alignItems: "center" },
  icon: { display: "inline-flex", color: tokens.colorBrandForeground1 },
  quiet: { color: tokens.colorNeutralForeground2 },
  result: { maxHeight: "320px" },
});

/** One device of a job: how it went, step by step, and what it answered. */
export function JobDevicePanel({ device, followed, onClose }: { device: JobDevice; followed: boolean; onClose: () => void }) {
  const styles = useStyles();
  const { t } = useTranslation();
  const navigate = useNavigate();
  const result = useMemo(() => (device.resultText === null ? null : parseText(device.resultText)), [device.resultText]);
  const answer = t(followed ? "jobs.device.firstAnswer" : "jobs.device.result");
  const facts: [string, string | number | null][] = [
    [t("jobs.device.status"), device.status],
    [t("jobs.device.cause"), device.cause],
    [t("jobs.device.attempts"), device.attempts > 0 ? device.attempts : null],
    [t("jobs.facts.startedAt"), device.startedAt && formatAbsolute(device.startedAt)],
    [t("jobs.facts.endedAt"), device.endedAt && formatAbsolute(device.endedAt)],
    [t("jobs.facts.took"), device.startedAt && device.endedAt ? formatDuration(Date.parse(device.endedAt) - Date.parse(device.startedAt)) : null],
  ];
  return (
    <div className={styles.root} data-testid="job-device-panel" data-device-id={device.deviceId} data-phases={device.phases.map(({ phase }) => phase).join(" ")}>
      <div className={styles.head}>
        <Title3 as="h2" className={styles.title} title={device.deviceId}>
          {device.deviceId}
        </Title3>
        <Tooltip content={t("common.close")} relationship="label">
          <Button appearance="subtle" icon={<DismissRegular />} onClick={onClose} data-testid="close-job-device" />
        </Tooltip>
      </div>
      <DeviceStateMark state={device.state} />
      {device.reason ? <Text>{device.reason}</Text> : null}
      {device.phases.length > 0 ? (
        <ol className={styles.phases} aria-label={t("jobs.device.phases")}>
          {device.phases.map((seen, index) => {
            const before = device.phases[index - 1];
            return (
              <li key={`${seen.phase} ${seen.at}`} className={styles.phase} data-testid="job-phase" data-phase={seen.phase}>
                <span className={styles.icon} aria-hidden>
                  {seen.phase === "done" ? <CheckmarkCircleRegular /> : <CircleRegular />}
                </span>
                {t(`jobs.phases.${seen.phase}`)}
                <time dateTime={seen.at} title={formatAbsolute(seen.at)}>
                  {formatTime(seen.at).slice(0, 8)}
                </time>
                <Text size={200} className={styles.quiet}>
                  {before ? t("jobs.device.after", { time: formatDuration(Date.parse(seen.at) - Date.parse(before.at)) }) : null}
                </Text>
              </li>
            );
          })}
        </ol>
      ) : null}
      <dl className={styles.facts}>
        {facts.flatMap(([name, value]) =>
          value === null
            ? []
            : [
                <dt key={name} className={styles.name}>
                  {name}
                </dt>,
                <dd key={`${name} value`} className={styles.value}>
                  {value}
                </dd>,
              ],
        )}
        <dt className={styles.name}>{t("jobs.device.id")}</dt>
        <dd className={styles.value}>
          <span className={styles.code}>{device.id}</span>
        </dd>
      </dl>
      {result === null ? null : (
        <>
          <Text weight="semibold">{answer}</Text>
          {result.ok ? (
            <JsonLines className={styles.result} value={result.value} label={answer} testId="job-device-result" />
          ) : (
            // An answer that was too long is kept up to where it was cut off.
            <Text className={styles.code} data-testid="job-device-result">
              {device.resultText}
            </Text>
          )}
        </>
      )}
      <Link onClick={() => void navigate(`/devices/${encodeURIComponent(device.deviceId)}?tab=jobs`)} data-testid="job-device-open">
        {t("jobs.device.open")}
      </Link>
    </div>
  );
}

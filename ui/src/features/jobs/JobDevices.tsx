import { makeStyles, mergeClasses, SearchBox, Text, tokens } from "@fluentui/react-components";
import { useCallback, useDeferredValue, useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { useSearchParams } from "react-router";
import { ErrorBar } from "../../components/ErrorBar";
import { Glow } from "../../components/Glow";
import { RelativeTime } from "../../components/RelativeTime";
import { ipc, type Job, type JobDevice, type JobDevicePage, type JobKind, type JobState } from "../../ipc";
import { formatNumber } from "../../lib/format";
import { useMedia } from "../../lib/use-media";
import { useStore } from "../../store/store";
import { JobDevicePanel } from "./JobDevicePanel";
import { type GridColumn, PagedGrid } from "./PagedGrid";
import { DeviceStateMark, StateIcon, stateLooks } from "./states";
import { rowIn, usePages } from "./use-pages";

const counts = [
  ["completed", "succeeded"],
  ["failed", "failed"],
  ["unknown", "unknown"],
  ["running", "running"],
  ["enqueued", "enqueued"],
  ["cancelled", "cancelled"],
] as const satisfies (readonly [JobState, keyof Job])[];

type Key = "id" | "state" | "phase" | "answer" | "reason" | "ended";
const widths: { key: Key; width: string; from: number }[] = [
  { key: "id", width: "minmax(120px, 1.2fr)", from: 0 },
  { key: "state", width: "124px", from: 0 },
  { key: "phase", width: "116px", from: 520 },
  { key: "answer", width: "84px", from: 640 },
  { key: "reason", width: "minmax(120px, 2fr)", from: 400 },
  { key: "ended", width: "100px", from: 760 },
];

const useStyles = makeStyles({
  root: { display: "flex", flexDirection: "column", flexGrow: 1, minHeight: 0, gap: "8px" },
  bar: { display: "flex", flexWrap: "wrap", gap: "6px", alignItems: "center" },
  chip: {
    display: "inline-flex",
    alignItems: "center",
    gap: "6px",
    height: "28px",
    maxWidth: "100%",
    padding: "0 10px",
    font: "inherit",
    fontSize: tokens.fontSizeBase200,
    color: tokens.colorNeutralForeground1,
    backgroundColor: tokens.colorNeutralBackground1,
    border: `1px solid ${tokens.colorNeutralStroke1}`,
    borderRadius: tokens.borderRadiusMedium,
    cursor: "pointer",
    ":hover": { backgroundColor: tokens.colorNeutralBackground1Hover },
    ":focus-visible": { outline: `2px solid ${tokens.colorStrokeFocus2}` },
  },
  chosen: { backgroundColor: tokens.colorBrandBackground2, border: `1px solid ${tokens.colorBrandStroke1}`, boxShadow: `inset 0 0 0 1px ${tokens.colorBrandStroke1}` },
  filter: { width: "200px", marginLeft: "auto" },
  quiet: { color: tokens.colorNeutralForeground2 },
  code: { fontFamily: tokens.fontFamilyMonospace },
  area: { display: "flex", flexGrow: 1, minHeight: 0, position: "relative", margin: "0 -8px" },
  panel: {
    width: "max(320px, 40%)",
    flexShrink: 0,
    overflow: "auto",
    boxSizing: "border-box",
    borderLeft: `1px solid ${tokens.colorNeutralStroke2}`,
    backgroundColor: tokens.colorNeutralBackground1,
  },
  over: { position: "absolute", top: 0, right: 0, bottom: 0, width: "min(420px, 100%)", zIndex: 1, boxShadow: tokens.shadow16 },
  none: { padding: "20px 8px", color: tokens.colorNeutralForeground2 },
});

/** Work that is only ordered by the call, and then followed. */
const hasPhases = (kind: JobKind) => kind === "firmwareUpdate" || kind === "reboot" || kind === "factoryReset";
const devicesOf = (page: JobDevicePage) => page.devices;
const isState = (text: string | null): text is JobState => text !== null && text in stateLooks;

/** The devices of a job, a page at a time; failures stand together by their cause. */
export function JobDevices({ job }: { job: Job }) {
  const styles = useStyles();
  const { t } = useTranslation();
  const wide = useMedia("(min-width: 1100px)");
  const [params, setParams] = useSearchParams();
  const wanted = params.get("state");
  const state = isState(wanted) ? wanted : null;
  const cause = params.get("cause");
  const open = params.get("device");
  const [text, setText] = useState("");
  const asked = useDeferredValue(text);
  const set = (change: Record<string, string | null>) => {
    const next = new URLSearchParams(params);
    for (const [name, value] of Object.entries(change)) {
      if (value === null) next.delete(name);
      else next.set(name, value);
    }
    setParams(next, { replace: true });
  };

  const read = useCallback(
    (offset: number, limit: number) => ipc.jobDevices(job.id, { state, cause, text: asked.trim() === "" ? null : asked.trim() }, offset, limit),
    [job.id, state, cause, asked],
  );
  // The event that tells of the job, not each of its devices, makes them be read again.
  const readings = useStore((model) => model.readings);
  const { pages, newest, error, show, look } = usePages(read, useMemo(() => ({ job, readings }), [job, readings]));
  const columns = useMemo(
    () =>
      widths
        .filter(({ key }) => key !== "phase" || hasPhases(job.kind))
        .map((column): GridColumn<Key> => ({ ...column, title: t(`jobs.deviceColumns.${column.key}`) })),
    [t, job.kind],
  );
  const devices = [...pages.values()].flatMap(devicesOf);
  const opened = open === null ? undefined : devices.find((device) => device.deviceId === open);

  return (
    // Esc closes the device that is open from wherever the keyboard is among them.
    // eslint-disable-next-line jsx-a11y/no-noninteractive-element-interactions
    <section
      className={styles.root}
      aria-label={t("jobs.devices")}
      onKeyDown={(event) => {
        if (event.key !== "Escape" || open === null || event.defaultPrevented) return;
        event.preventDefault();
        set({ device: null });
      }}
    >
      <div className={styles.bar} role="group" aria-label={t("jobs.filter.state")}>
        {counts.map(([one, name]) =>
          job[name] === 0 && state !== one ? null : (
            <button
              key={one}
              type="button"
              aria-pressed={state === one}
              className={mergeClasses(styles.chip, state === one && styles.chosen)}
              onClick={() => set({ state: state === one ? null : one, cause: null })}
              data-testid="job-device-state"
              data-state={one}
              data-count={job[name]}
            >
              <StateIcon state={one} />
              {t(`jobs.deviceStates.${one}`)}
              <Text size={200} weight="semibold">
                {formatNumber(job[name])}
              </Text>
            </button>
          ),
        )}
        <SearchBox
          size="small"
          className={styles.filter}
          placeholder={t("devices.filter")}
          aria-label={t("devices.filter")}
          value={text}
          data-shortcut="filter"
          data-testid="job-device-filter"
          onChange={(_, data) => setText(data.value)}
        />
      </div>
      {newest && newest.causes.length > 0 ? (
        <div className={styles.bar} role="group" aria-labelledby="job-causes">
          <Text size={200} className={styles.quiet} id="job-causes">
            {t("jobs.causes")}
          </Text>
          {newest.causes.map((entry) => (
            <button
              key={entry.cause}
              type="button"
              aria-pressed={cause === entry.cause}
              className={mergeClasses(styles.chip, cause === entry.cause && styles.chosen)}
              onClick={() => set({ cause: cause === entry.cause ? null : entry.cause, state: null })}
              data-testid="job-cause"
              data-cause={entry.cause}
              data-count={entry.count}
            >
              <span className={styles.code}>{entry.cause}</span>
              <Text size={200} weight="semibold">
                {formatNumber(entry.count)}
              </Text>
            </button>
          ))}
        </div>
      ) : null}
      <ErrorBar error={error} what={t("errors.jobDevices")} onRetry={look} />
      {newest !== null && newest.total === 0 ? (
        <Text className={styles.none} data-testid="job-no-devices">
          {state !== null || cause !== null || text.trim() !== "" ? t("jobs.noDeviceMatches") : t(job.endedAt === null ? "jobs.devicesLater" : "jobs.devicesUnknown")}
        </Text>
      ) : (
        <div className={styles.area}>
          <PagedGrid
            label={t("jobs.devices")}
            columns={columns}
            total={newest?.total ?? 0}
            rowAt={(index) => rowIn(pages, devicesOf, index)}
            idOf={(device) => device.deviceId}
            factsOf={(device) => ({ "data-testid": "job-device", "data-device-id": device.deviceId, "data-state": device.state })}
            cell={(device, key) => <Cell device={device} column={key} followed={hasPhases(job.kind)} />}
            chosen={open}
            onShow={show}
            onOpen={(device) => set({ device: open === device.deviceId ? null : device.deviceId })}
            testId="job-devices"
          />
          {opened ? (
            <aside className={mergeClasses(styles.panel, !wide && styles.over)} aria-label={opened.deviceId}>
              <JobDevicePanel device={opened} followed={hasPhases(job.kind)} onClose={() => set({ device: null })} />
            </aside>
          ) : null}
        </div>
      )}
    </section>
  );
}

/** `followed`: what it answered was only that it begins. */
function Cell({ device, column, followed }: { device: JobDevice; column: Key; followed: boolean }) {
  const styles = useStyles();
  const { t } = useTranslation();
  switch (column) {
    case "id":
      return <span title={device.deviceId}>{device.deviceId}</span>;
    case "state":
      return (
        <Glow of={device.id} value={device.state}>
          <DeviceStateMark state={device.state} />
        </Glow>
      );
    case "phase": {
      const last = device.phases.at(-1)?.phase;
      return last === undefined ? null : (
        <Glow of={device.id} value={last}>
          {t(`jobs.phases.${last}`)}
        </Glow>
      );
    }
    case "answer":
      return device.status;
    case "reason":
      return <span title={device.reason ?? undefined}>{device.reason ?? (followed ? null : <span className={styles.quiet}>{device.resultText}</span>)}</span>;
    case "ended":
      return device.endedAt === null ? null : (
        <span className={styles.quiet}>
          <RelativeTime time={device.endedAt} />
        </span>
      );
  }
}

import { makeStyles, mergeClasses, tokens } from "@fluentui/react-components";
import { ArrowSyncRegular } from "@fluentui/react-icons/svg/arrow-sync";
import { CalendarClockRegular } from "@fluentui/react-icons/svg/calendar-clock";
import { CheckmarkCircleRegular } from "@fluentui/react-icons/svg/checkmark-circle";
import { ErrorCircleRegular } from "@fluentui/react-icons/svg/error-circle";
import { HourglassHalfRegular } from "@fluentui/react-icons/svg/hourglass-half";
import { ProhibitedRegular } from "@fluentui/react-icons/svg/prohibited";
import { QuestionCircleRegular } from "@fluentui/react-icons/svg/question-circle";
import { StopRegular } from "@fluentui/react-icons/svg/stop";
import type { ReactElement } from "react";
import { useTranslation } from "react-i18next";
import type { Job, JobState } from "../../ipc";

type Tone = "good" | "bad" | "busy" | "doubt" | "quiet";

/** Colours are of the parts of a bar; the icon tells without them. */
export const stateLooks: Record<JobState, { icon: ReactElement; colour: string; tone: Tone }> = {
  completed: { icon: <CheckmarkCircleRegular />, colour: tokens.colorPaletteGreenBackground3, tone: "good" },
  failed: { icon: <ErrorCircleRegular />, colour: tokens.colorPaletteRedBackground3, tone: "bad" },
  unknown: { icon: <QuestionCircleRegular />, colour: tokens.colorPaletteYellowBackground3, tone: "doubt" },
  cancelled: { icon: <ProhibitedRegular />, colour: tokens.colorNeutralForeground3, tone: "quiet" },
  running: { icon: <ArrowSyncRegular />, colour: tokens.colorPaletteBlueBorderActive, tone: "busy" },
  enqueued: { icon: <HourglassHalfRegular />, colour: tokens.colorNeutralStroke1, tone: "quiet" },
  scheduled: { icon: <CalendarClockRegular />, colour: tokens.colorNeutralStroke1, tone: "quiet" },
};

const useStyles = makeStyles({
  root: { display: "inline-flex", gap: "6px", alignItems: "center", whiteSpace: "nowrap", minWidth: 0 },
  icon: { display: "inline-flex", fontSize: "max(16px, 1em)", flexShrink: 0 },
  good: { color: tokens.colorPaletteGreenForeground1 },
  bad: { color: tokens.colorPaletteRedForeground1 },
  busy: { color: tokens.colorBrandForeground1 },
  doubt: { color: tokens.colorPaletteDarkOrangeForeground1 },
  quiet: { color: tokens.colorNeutralForeground3 },
});

export function StateIcon({ state }: { state: JobState }) {
  const styles = useStyles();
  const { icon, tone } = stateLooks[state];
  return (
    <span className={mergeClasses(styles.icon, styles[tone])} aria-hidden>
      {icon}
    </span>
  );
}

/** Of one device of a job, which succeeds where a job completes. */
export function DeviceStateMark({ state }: { state: JobState }) {
  const styles = useStyles();
  const { t } = useTranslation();
  return (
    <span className={styles.root}>
      <StateIcon state={state} />
      {t(`jobs.deviceStates.${state}`)}
    </span>
  );
}

/** Of a job: also that it is being cancelled, which is no state of its own. */
export function JobMark({ job }: { job: Job }) {
  const styles = useStyles();
  const { t } = useTranslation();
  if (!job.cancelling || job.endedAt !== null) {
    return (
      <span className={styles.root} title={job.reason ?? undefined}>
        <StateIcon state={job.state} />
        {t(`jobs.states.${job.state}`)}
      </span>
    );
  }
  return (
    <span className={styles.root} title={job.reason ?? undefined}>
      <span className={mergeClasses(styles.icon, styles.doubt)} aria-hidden>
        <StopRegular />
      </span>
      {t("jobs.cancelling")}
    </span>
  );
}

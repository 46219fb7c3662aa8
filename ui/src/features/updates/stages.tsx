import { makeStyles, mergeClasses, tokens } from "@fluentui/react-components";
import { ArrowDownloadRegular } from "@fluentui/react-icons/svg/arrow-download";
import { ArrowSyncRegular } from "@fluentui/react-icons/svg/arrow-sync";
import { CheckmarkRegular } from "@fluentui/react-icons/svg/checkmark";
import { CheckmarkCircleRegular } from "@fluentui/react-icons/svg/checkmark-circle";
import { CircleRegular } from "@fluentui/react-icons/svg/circle";
import { ClockRegular } from "@fluentui/react-icons/svg/clock";
import { ErrorCircleRegular } from "@fluentui/react-icons/svg/error-circle";
import { HourglassHalfRegular } from "@fluentui/react-icons/svg/hourglass-half";
import { ProhibitedRegular } from "@fluentui/react-icons/svg/prohibited";
import { QuestionCircleRegular } from "@fluentui/react-icons/svg/question-circle";
import { SendRegular } from "@fluentui/react-icons/svg/send";
import type { ReactElement } from "react";
import { useTranslation } from "react-i18next";
import type { Update, UpdateStage } from "../../ipc";

type Look = { icon: ReactElement; colour: string; always: boolean };

/** In the order a device goes through them; what ends otherwise comes last. */
export const stageLooks: Record<UpdateStage, Look> = {
  queued: { icon: <CircleRegular />, colour: tokens.colorNeutralStroke1, always: true },
  dispatching: { icon: <SendRegular />, colour: tokens.colorPaletteSteelBorderActive, always: true },
  accepted: { icon: <CheckmarkRegular />, colour: tokens.colorPaletteLightTealBorderActive, always: true },
  standBy: { icon: <HourglassHalfRegular />, colour: tokens.colorPaletteTealBorderActive, always: true },
  downloading: { icon: <ArrowDownloadRegular />, colour: tokens.colorPaletteBlueBorderActive, always: true },
  applying: { icon: <ArrowSyncRegular />, colour: tokens.colorPaletteRoyalBlueBorderActive, always: true },
  completed: { icon: <CheckmarkCircleRegular />, colour: tokens.colorPaletteGreenBackground3, always: true },
  failed: { icon: <ErrorCircleRegular />, colour: tokens.colorPaletteRedBackground3, always: true },
  timedOut: { icon: <ClockRegular />, colour: tokens.colorPaletteDarkOrangeBackground3, always: false },
  uncertain: { icon: <QuestionCircleRegular />, colour: tokens.colorPaletteYellowBackground3, always: false },
  cancelled: { icon: <ProhibitedRegular />, colour: tokens.colorNeutralForegroundDisabled, always: false },
};

export const stages = Object.keys(stageLooks) as UpdateStage[];

export const countOf = (update: Update, stage: UpdateStage): number =>
  update.counts.find((entry) => entry.stage === stage)?.count ?? 0;

const useStyles = makeStyles({
  root: { display: "inline-flex", gap: "6px", alignItems: "center", whiteSpace: "nowrap" },
  icon: { display: "inline-flex", fontSize: "16px" },
  good: { color: tokens.colorPaletteGreenForeground1 },
  bad: { color: tokens.colorPaletteRedForeground1 },
  busy: { color: tokens.colorBrandForeground1 },
  quiet: { color: tokens.colorNeutralForeground3 },
});

function toneOf(stage: UpdateStage): "good" | "bad" | "busy" | "quiet" {
  if (stage === "completed") return "good";
  if (stage === "failed" || stage === "timedOut") return "bad";
  return stage === "queued" || stage === "cancelled" || stage === "uncertain" ? "quiet" : "busy";
}

export function StageIcon({ stage }: { stage: UpdateStage }) {
  const styles = useStyles();
  return (
    <span className={mergeClasses(styles.icon, styles[toneOf(stage)])} aria-hidden>
      {stageLooks[stage].icon}
    </span>
  );
}

export function StageMark({ stage }: { stage: UpdateStage }) {
  const styles = useStyles();
  const { t } = useTranslation();
  return (
    <span className={styles.root}>
      <StageIcon stage={stage} />
      {t(`stages.${stage}`)}
    </span>
  );
}

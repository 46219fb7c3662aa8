import { makeStyles, mergeClasses, Text, tokens } from "@fluentui/react-components";
import { useTranslation } from "react-i18next";
import type { Update, UpdateStage } from "../../ipc";
import { formatNumber } from "../../lib/format";
import { countOf, StageIcon, stageLooks, stages } from "./stages";

const useStyles = makeStyles({
  root: { display: "flex", flexDirection: "column", gap: "10px" },
  bar: { display: "flex", height: "14px", gap: "2px", borderRadius: tokens.borderRadiusMedium, overflow: "hidden", backgroundColor: tokens.colorNeutralBackground4 },
  part: { minWidth: "3px", transitionProperty: "flex-grow", transitionDuration: "200ms" },
  counts: { display: "grid", gridTemplateColumns: "repeat(auto-fit, minmax(88px, 1fr))", gap: "6px" },
  count: {
    display: "flex",
    flexDirection: "column",
    alignItems: "stretch",
    gap: "2px",
    minWidth: 0,
    padding: "6px 10px",
    font: "inherit",
    color: "inherit",
    textAlign: "left",
    backgroundColor: tokens.colorNeutralBackground1,
    border: `1px solid ${tokens.colorNeutralStroke2}`,
    borderTopWidth: "3px",
    borderRadius: tokens.borderRadiusMedium,
    cursor: "pointer",
    ":hover": { backgroundColor: tokens.colorNeutralBackground3 },
    ":focus-visible": { outline: `2px solid ${tokens.colorStrokeFocus2}` },
  },
  chosen: { backgroundColor: tokens.colorBrandBackground2, boxShadow: `0 0 0 1px ${tokens.colorBrandStroke1}` },
  number: { display: "flex", alignItems: "center", justifyContent: "space-between" },
  zero: { color: tokens.colorNeutralForeground3 },
});

type Props = { update: Update; chosen: UpdateStage | null; onChoose: (stage: UpdateStage | null) => void };

/** Where the devices are, as a bar and as numbers; a number filters the list below. */
export function StageBar({ update, chosen, onChoose }: Props) {
  const styles = useStyles();
  const { t } = useTranslation();
  return (
    <div className={styles.root}>
      <div className={styles.bar} aria-hidden>
        {stages.map((stage) => {
          const count = countOf(update, stage);
          return count === 0 ? null : (
            <span key={stage} className={styles.part} style={{ flexGrow: count, flexBasis: 0, backgroundColor: stageLooks[stage].colour }} />
          );
        })}
      </div>
      <div className={styles.counts} role="group" aria-label={t("updates.byStage")}>
        {stages.map((stage) => {
          const count = countOf(update, stage);
          if (count === 0 && !stageLooks[stage].always) return null;
          return (
            <button
              key={stage}
              type="button"
              aria-pressed={chosen === stage}
              className={mergeClasses(styles.count, chosen === stage && styles.chosen)}
              style={{ borderTopColor: stageLooks[stage].colour }}
              onClick={() => onChoose(chosen === stage ? null : stage)}
              data-testid="stage-count"
              data-stage={stage}
              data-count={count}
            >
              <Text size={200} className={count === 0 ? styles.zero : undefined}>
                {t(`stages.${stage}`)}
              </Text>
              <span className={styles.number}>
                <Text size={500} weight="semibold" className={count === 0 ? styles.zero : undefined}>
                  {formatNumber(count)}
                </Text>
                <StageIcon stage={stage} />
              </span>
            </button>
          );
        })}
      </div>
    </div>
  );
}

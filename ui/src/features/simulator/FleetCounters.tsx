import { makeStyles, mergeClasses, Text, tokens } from "@fluentui/react-components";
import { useTranslation } from "react-i18next";
import { Sparkline } from "../../components/Sparkline";
import type { Fleet, FleetTotals, SimulatedState } from "../../ipc";
import { formatNumber, formatRate } from "../../lib/format";
import { rateOf, ratesOf } from "../../lib/rates";
import { countOf } from "../../store/fleets";
import { useStore } from "../../store/store";
import { states } from "./shapes";
import { StateMark } from "./StateMark";

const useStyles = makeStyles({
  root: { display: "flex", flexWrap: "wrap", gap: "8px", alignItems: "stretch" },
  tile: {
    display: "flex",
    flexDirection: "column",
    gap: "1px",
    padding: "6px 10px",
    minWidth: "64px",
    border: `1px solid ${tokens.colorNeutralStroke2}`,
    borderRadius: tokens.borderRadiusMedium,
    backgroundColor: tokens.colorNeutralBackground1,
    color: tokens.colorNeutralForeground1,
    font: "inherit",
    textAlign: "left",
  },
  toggle: {
    cursor: "pointer",
    ":hover": { backgroundColor: tokens.colorNeutralBackground1Hover },
    ":focus-visible": { outline: `2px solid ${tokens.colorStrokeFocus2}` },
  },
  only: { border: `1px solid ${tokens.colorBrandStroke1}`, backgroundColor: tokens.colorBrandBackground2 },
  name: { display: "flex", gap: "6px", alignItems: "center", color: tokens.colorNeutralForeground2, whiteSpace: "nowrap" },
  value: { fontSize: tokens.fontSizeBase400, lineHeight: tokens.lineHeightBase400, fontVariantNumeric: "tabular-nums" },
  rate: { display: "flex", alignItems: "center", gap: "8px", width: "132px" },
  number: { minWidth: "56px" },
});

const NONE: FleetTotals[] = [];
const UNKNOWN = "–";

type Props = { fleet: Fleet; only: SimulatedState | null; onOnly: (state: SimulatedState | null) => void };

/** How many are in which state, each a filter of the grid; and what they say a second. */
export function FleetCounters({ fleet, only, onOnly }: Props) {
  const styles = useStyles();
  const { t } = useTranslation();
  const readings = useStore((model) => model.fleets.readings[fleet.id] ?? NONE);
  const rate = (name: "messages" | "reports") => {
    const now = rateOf(readings, (reading) => reading[name]);
    return (
      <div className={styles.tile} data-testid={`fleet-${name}`}>
        <Text size={200} className={styles.name}>
          {t(`simulator.${name}`)}
        </Text>
        <span className={mergeClasses(styles.value, styles.rate)}>
          <span className={styles.number}>{now === null ? UNKNOWN : t("localHub.counters.perSecond", { rate: formatRate(now) })}</span>
          <Sparkline values={ratesOf(readings, (reading) => reading[name])} />
        </span>
      </div>
    );
  };
  return (
    <div className={styles.root} role="group" aria-label={t("simulator.counts")}>
      {states.map((state) => {
        const count = countOf(fleet, state);
        return (
          <button
            key={state}
            type="button"
            className={mergeClasses(styles.tile, styles.toggle, only === state && styles.only)}
            aria-pressed={only === state}
            title={t("simulator.showOnly", { state: t(`simulator.states.${state}`) })}
            onClick={() => onOnly(only === state ? null : state)}
            data-testid={`count-${state}`}
            data-count={count}
          >
            <Text size={200} className={styles.name}>
              <StateMark state={state} />
              {t(`simulator.states.${state}`)}
            </Text>
            <span className={styles.value}>{formatNumber(count)}</span>
          </button>
        );
      })}
      {rate("messages")}
      {rate("reports")}
    </div>
  );
}

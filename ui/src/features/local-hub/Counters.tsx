import { makeStyles, Text, tokens } from "@fluentui/react-components";
import { WarningRegular } from "@fluentui/react-icons/svg/warning";
import { type ReactNode, useEffect } from "react";
import { useTranslation } from "react-i18next";
import { ErrorBar } from "../../components/ErrorBar";
import { Section } from "../../components/Section";
import { Sparkline } from "../../components/Sparkline";
import { formatNumber, formatRate } from "../../lib/format";
import { useTask } from "../../lib/use-task";
import { rateOf, ratesOf, type Total, totalOf } from "../../store/local-hub";
import { unwatchCounters, useStore, watchCounters } from "../../store/store";

const useStyles = makeStyles({
  tiles: { display: "grid", gridTemplateColumns: "repeat(auto-fill, minmax(132px, 1fr))", gap: "8px", margin: 0 },
  tile: {
    display: "flex",
    flexDirection: "column",
    gap: "2px",
    padding: "10px 12px",
    border: `1px solid ${tokens.colorNeutralStroke2}`,
    borderRadius: tokens.borderRadiusMedium,
    backgroundColor: tokens.colorNeutralBackground1,
    minWidth: 0,
  },
  name: { color: tokens.colorNeutralForeground2 },
  value: { margin: 0, fontSize: tokens.fontSizeBase500, lineHeight: tokens.lineHeightBase500, fontVariantNumeric: "tabular-nums", display: "flex", gap: "6px", alignItems: "center" },
  more: { margin: 0, color: tokens.colorNeutralForeground3, fontSize: tokens.fontSizeBase200, fontVariantNumeric: "tabular-nums" },
  bad: { color: tokens.colorPaletteRedForeground1 },
});

const rates: { name: "telemetry" | "cloudToDevice" | "methods" | "twinWrites" | "requests"; totals: Total[] }[] = [
  { name: "telemetry", totals: ["telemetry"] },
  { name: "cloudToDevice", totals: ["cloudToDevice"] },
  { name: "methods", totals: ["methods"] },
  { name: "twinWrites", totals: ["serviceTwinWrites", "deviceTwinWrites"] },
  { name: "requests", totals: ["requests"] },
];

export function Counters() {
  const styles = useStyles();
  const { t } = useTranslation();
  const readings = useStore((model) => model.counters);
  const { error, run } = useTask();
  useEffect(() => {
    void run(watchCounters);
    return unwatchCounters;
  }, [run]);
  const last = readings.at(-1);
  return (
    <Section title={t("localHub.counters.title")}>
      <ErrorBar error={error} what={t("errors.counters")} onRetry={() => void run(watchCounters)} />
      <dl className={styles.tiles} data-testid="counters">
        <Tile name={t("localHub.counters.connections")} value={last ? formatNumber(last.connections) : UNKNOWN} more={t("localHub.counters.connectionsText")} />
        {rates.map(({ name, totals }) => {
          const rate = rateOf(readings, totals);
          const total = last ? t("localHub.counters.total", { total: totalOf(last, totals) }) : UNKNOWN;
          const more =
            name === "twinWrites" && last
              ? t("localHub.counters.twinWritesText", { service: last.serviceTwinWrites, device: last.deviceTwinWrites })
              : total;
          return (
            <Tile
              key={name}
              name={t(`localHub.counters.${name}`)}
              value={rate === null ? UNKNOWN : t("localHub.counters.perSecond", { rate: formatRate(rate) })}
              more={more}
            >
              <Sparkline values={ratesOf(readings, totals)} />
            </Tile>
          );
        })}
        <Tile
          name={t("localHub.counters.refused")}
          value={
            last && last.refused > 0 ? (
              <>
                <WarningRegular className={styles.bad} aria-hidden />
                {formatNumber(last.refused)}
              </>
            ) : (
              (last?.refused ?? UNKNOWN)
            )
          }
          more={t(last && last.refused > 0 ? "localHub.counters.refusedText" : "localHub.counters.refusedNone")}
        />
      </dl>
    </Section>
  );
}

const UNKNOWN = "–";

function Tile({ name, value, more, children }: { name: string; value: ReactNode; more: string; children?: ReactNode }) {
  const styles = useStyles();
  return (
    <div className={styles.tile}>
      <dt>
        <Text size={200} className={styles.name}>
          {name}
        </Text>
      </dt>
      <dd className={styles.value}>{value}</dd>
      <dd className={styles.more}>{more}</dd>
      {children}
    </div>
  );
}

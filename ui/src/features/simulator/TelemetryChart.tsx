import { makeStyles, Text, tokens } from "@fluentui/react-components";
import { DataLineRegular } from "@fluentui/react-icons/svg/data-line";
import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import { StatePanel } from "../../components/StatePanel";
import type { ConsoleLine } from "../../ipc";
import { formatNumber, formatTime } from "../../lib/format";
import { type Series, seriesOf } from "./telemetry";

const WIDTH = 400;
const HEIGHT = 80;

const useStyles = makeStyles({
  list: { listStyleType: "none", margin: 0, padding: 0, display: "flex", flexDirection: "column", gap: "14px" },
  head: { display: "flex", justifyContent: "space-between", gap: "12px" },
  path: { fontFamily: tokens.fontFamilyMonospace, overflowWrap: "anywhere" },
  chart: {
    color: tokens.colorBrandForeground1,
    width: "100%",
    height: `${HEIGHT}px`,
    display: "block",
    borderBottom: `1px solid ${tokens.colorNeutralStroke2}`,
    borderLeft: `1px solid ${tokens.colorNeutralStroke2}`,
  },
  axis: { display: "flex", justifyContent: "space-between", color: tokens.colorNeutralForeground3, fontVariantNumeric: "tabular-nums" },
  value: { fontVariantNumeric: "tabular-nums" },
});

/** The numbers a device sends, since somebody looks. */
export function TelemetryChart({ lines }: { lines: ConsoleLine[] }) {
  const styles = useStyles();
  const { t } = useTranslation();
  const series = useMemo(() => seriesOf(lines), [lines]);
  if (series.length === 0) return <StatePanel icon={<DataLineRegular />} title={t("console.noTelemetry")} text={t("console.noTelemetryText")} />;
  return (
    <ul className={styles.list} data-testid="telemetry">
      {series.map((one) => (
        <Chart key={one.path} series={one} />
      ))}
    </ul>
  );
}

function Chart({ series: { path, points } }: { series: Series }) {
  const styles = useStyles();
  const { t } = useTranslation();
  const values = points.map(({ value }) => value);
  const least = Math.min(...values);
  const most = Math.max(...values);
  const begin = points[0]?.at ?? 0;
  const end = points.at(-1)?.at ?? begin;
  const x = (at: number) => (end === begin ? WIDTH : ((at - begin) / (end - begin)) * WIDTH);
  const y = (value: number) => HEIGHT - 4 - (most === least ? 0.5 : (value - least) / (most - least)) * (HEIGHT - 8);
  const line = points.map(({ at, value }) => `${x(at).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
  const latest = values.at(-1) ?? 0;
  return (
    <li data-testid="series" data-path={path} data-points={points.length}>
      <div className={styles.head}>
        <Text weight="semibold" size={200} className={styles.path}>
          {path}
        </Text>
        <Text size={200} className={styles.value}>
          {formatNumber(latest)}
        </Text>
      </div>
      <svg
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        preserveAspectRatio="none"
        className={styles.chart}
        role="img"
        aria-label={t("console.chart", { path, least, most, latest, count: points.length })}
      >
        {points.length === 1 ? (
          <circle cx={WIDTH - 3} cy={HEIGHT / 2} r="2.5" fill="currentColor" />
        ) : (
          <polyline points={line} fill="none" stroke="currentColor" strokeWidth="1.5" vectorEffect="non-scaling-stroke" />
        )}
      </svg>
      <div className={styles.axis}>
        <Text size={100}>{formatTime(new Date(begin).toISOString())}</Text>
        <Text size={100}>{t("console.range", { least, most })}</Text>
        <Text size={100}>{formatTime(new Date(end).toISOString())}</Text>
      </div>
    </li>
  );
}

import { Link, makeStyles, Text, tokens } from "@fluentui/react-components";
import { useVirtualizer } from "@tanstack/react-virtual";
import { memo, useMemo, useRef } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate } from "react-router";
import { Glow } from "../../components/Glow";
import type { UpdateDevice, UpdateStage } from "../../ipc";
import { formatAbsolute, formatDuration } from "../../lib/format";
import { useNow } from "../../lib/use-now";
import { useThrottled } from "../../lib/use-throttled";
import { useStore } from "../../store/store";
import { StageMark } from "./stages";

const ROW = 34;
const ended = new Set<UpdateStage>(["completed", "failed", "timedOut", "cancelled"]);

const columns = { display: "grid", gridTemplateColumns: "minmax(140px, 1.4fr) minmax(140px, 1fr) 110px minmax(0, 2fr)", alignItems: "center", columnGap: "12px" } as const;

const useStyles = makeStyles({
  root: { display: "flex", flexDirection: "column", flexGrow: 1, minHeight: "160px" },
  head: {
    ...columns,
    height: "32px",
    padding: "0 8px",
    scrollbarGutter: "stable",
    overflow: "hidden",
    flexShrink: 0,
    color: tokens.colorNeutralForeground2,
    fontSize: tokens.fontSizeBase200,
    fontWeight: tokens.fontWeightSemibold,
    borderBottom: `1px solid ${tokens.colorNeutralStroke2}`,
  },
  scroller: {
    overflow: "auto",
    flexGrow: 1,
    minHeight: 0,
    scrollbarGutter: "stable",
    ":focus-visible": { outline: `2px solid ${tokens.colorStrokeFocus2}`, outlineOffset: "-2px" },
  },
  body: { position: "relative" },
  row: { ...columns, position: "absolute", left: 0, right: 0, height: `${ROW}px`, padding: "0 8px", borderBottom: `1px solid ${tokens.colorNeutralStroke3}`, boxSizing: "border-box" },
  cut: { overflow: "hidden", textOverflow: "ellipsis", whiteSpace: "nowrap" },
  quiet: { color: tokens.colorNeutralForeground3 },
  none: { padding: "20px 8px", color: tokens.colorNeutralForeground3 },
});

export function UpdateDeviceList({ updateId, stage, isOver }: { updateId: number; stage: UpdateStage | null; isOver: boolean }) {
  const styles = useStyles();
  const { t } = useTranslation();
  const scroller = useRef<HTMLDivElement>(null);
  const live = useStore((model) => model.updates.devices[updateId]);
  const devices = useThrottled(live, 250);
  const shown = useMemo(
    () => (!devices ? [] : stage === null ? devices.ids : devices.ids.filter((id) => devices.rows.get(id)?.stage === stage)),
    [devices, stage],
  );
  const virtual = useVirtualizer({ count: shown.length, getScrollElement: () => scroller.current, estimateSize: () => ROW, overscan: 8 });
  return (
    <div className={styles.root} role="table" aria-label={t("updates.devices")} aria-rowcount={shown.length + 1}>
      <div role="row" className={styles.head}>
        <span role="columnheader">{t("devices.columns.id")}</span>
        <span role="columnheader">{t("updates.stage")}</span>
        <span role="columnheader">{t("updates.inStage")}</span>
        <span role="columnheader">{t("updates.reason")}</span>
      </div>
      {/* Scrolls, so the keyboard has to be able to reach it. */}
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
      <div ref={scroller} className={styles.scroller} role="rowgroup" tabIndex={0}>
        {shown.length === 0 && devices?.loaded ? <Text className={styles.none}>{t("updates.noneInStage")}</Text> : null}
        <div className={styles.body} role="presentation" style={{ height: virtual.getTotalSize() }}>
          {virtual.getVirtualItems().map((item) => {
            const device = live?.rows.get(shown[item.index] ?? "");
            return device ? <Row key={device.deviceId} device={device} top={item.start} index={item.index} isOver={isOver} /> : null;
          })}
        </div>
      </div>
    </div>
  );
}

const Row = memo(function Row({ device, top, index, isOver }: { device: UpdateDevice; top: number; index: number; isOver: boolean }) {
  const styles = useStyles();
  const navigate = useNavigate();
  return (
    <div
      role="row"
      aria-rowindex={index + 2}
      className={styles.row}
      style={{ transform: `translateY(${top}px)` }}
      data-testid="update-device"
      data-device-id={device.deviceId}
      data-stage={device.stage}
    >
      <span role="cell" className={styles.cut}>
        <Link onClick={() => void navigate(`/devices/${encodeURIComponent(device.deviceId)}`)}>{device.deviceId}</Link>
      </span>
      <span role="cell">
        <Glow of={device.deviceId} value={device.stage}>
          <StageMark stage={device.stage} />
        </Glow>
      </span>
      <span role="cell" className={styles.quiet} title={formatAbsolute(device.since)}>
        {isOver || ended.has(device.stage) ? "–" : <InStage since={device.since} />}
      </span>
      <span role="cell" className={styles.cut} title={device.reason ?? undefined}>
        {device.reason}
      </span>
    </div>
  );
});

function InStage({ since }: { since: string }) {
  const now = useNow(1000);
  // In whole seconds: it ticks by the second.
  return formatDuration(Math.max(1000, Math.floor((now - new Date(since).getTime()) / 1000) * 1000));
}

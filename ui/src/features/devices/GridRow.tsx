import { makeStyles, mergeClasses, tokens } from "@fluentui/react-components";
import { memo, type MouseEvent } from "react";
import { useTranslation } from "react-i18next";
import { ConnectionMark } from "../../components/ConnectionMark";
import { FirmwareMark } from "../../components/FirmwareMark";
import { Glow } from "../../components/Glow";
import { RelativeTime } from "../../components/RelativeTime";
import { SimulatedBadge } from "../../components/SimulatedBadge";
import type { DeviceRow } from "../../ipc";
import { useStore } from "../../store/store";
import { useUi } from "../../store/ui";
import { type Column, ROW_HEIGHT } from "./columns";

const useStyles = makeStyles({
  row: {
    position: "absolute",
    left: 0,
    right: 0,
    height: `${ROW_HEIGHT}px`,
    display: "grid",
    alignItems: "center",
    borderBottom: `1px solid ${tokens.colorNeutralStroke3}`,
    boxSizing: "border-box",
    cursor: "default",
    ":hover": { backgroundColor: tokens.colorNeutralBackground3 },
  },
  selected: { backgroundColor: tokens.colorBrandBackground2, ":hover": { backgroundColor: tokens.colorBrandBackground2Hover } },
  open: { boxShadow: `inset 3px 0 0 ${tokens.colorBrandStroke1}` },
  cell: { padding: "0 8px", overflow: "hidden", whiteSpace: "nowrap", textOverflow: "ellipsis", height: "100%", display: "flex", alignItems: "center", boxSizing: "border-box" },
  current: { outline: `2px solid ${tokens.colorStrokeFocus2}`, outlineOffset: "-2px", borderRadius: tokens.borderRadiusSmall },
  id: { overflow: "hidden", textOverflow: "ellipsis" },
  check: { margin: 0, width: "16px", height: "16px", accentColor: tokens.colorCompoundBrandBackground, cursor: "pointer" },
  quiet: { color: tokens.colorNeutralForeground3 },
});

type Props = {
  id: string;
  index: number;
  top: number;
  columns: Column[];
  template: string;
  open: boolean;
  /** The column that the keyboard is on, when it is on this row and in the list. */
  currentColumn: number | null;
  onPick: (id: string, index: number, column: number, event: MouseEvent) => void;
};

export const GridRow = memo(function GridRow({ id, index, top, columns, template, open, currentColumn, onPick }: Props) {
  const styles = useStyles();
  const { t } = useTranslation();
  const row = useStore((model) => model.devices.rows.get(id));
  const selected = useUi((ui) => ui.selected.has(id));
  if (!row) return null;
  return (
    <div
      role="row"
      aria-rowindex={index + 2}
      aria-selected={selected}
      className={mergeClasses(styles.row, selected && styles.selected, open && styles.open)}
      style={{ transform: `translateY(${top}px)`, gridTemplateColumns: template }}
      data-testid="device-row"
      data-device-id={id}
      data-connected={row.connected}
      data-firmware={row.firmwareStatus ?? ""}
      data-simulated={row.simulated ?? ""}
    >
      {columns.map((column, at) => (
        // The keys are heard by the grid, which knows the row and the column they are meant for.
        // eslint-disable-next-line jsx-a11y/click-events-have-key-events
        <div
          key={column.key}
          id={`cell-${index}-${at}`}
          role="gridcell"
          tabIndex={-1}
          aria-colindex={at + 1}
          className={mergeClasses(styles.cell, currentColumn === at && styles.current)}
          onClick={(event) => onPick(id, index, at, event)}
        >
          {column.key === "select" ? (
            <input
              type="checkbox"
              className={styles.check}
              tabIndex={-1}
              checked={selected}
              readOnly
              aria-label={t("devices.selectOne", { id })}
            />
          ) : (
            <Cell column={column} row={row} />
          )}
        </div>
      ))}
    </div>
  );
});

function Cell({ column, row }: { column: Column; row: DeviceRow }) {
  const styles = useStyles();
  const { t } = useTranslation();
  switch (column.key) {
    case "id":
      return (
        <span className={styles.id} title={row.deviceId}>
          {row.deviceId}
        </span>
      );
    case "connection":
      return (
        <Glow of={row.deviceId} value={row.connected}>
          <ConnectionMark connected={row.connected} />
        </Glow>
      );
    case "status":
      return (
        <Glow of={row.deviceId} value={row.enabled}>
          <span className={row.enabled ? undefined : styles.quiet}>{row.enabled ? t("devices.enabled") : t("devices.disabled")}</span>
        </Glow>
      );
    case "firmware":
      return (
        <Glow of={row.deviceId} value={row.firmwareStatus}>
          <FirmwareMark status={row.firmwareStatus} />
        </Glow>
      );
    case "simulated":
      return row.simulated ? (
        <Glow of={row.deviceId} value={row.simulated}>
          <SimulatedBadge state={row.simulated} />
        </Glow>
      ) : null;
    case "activity":
      return (
        <span className={styles.quiet}>
          <RelativeTime time={row.lastActivityAt} />
        </span>
      );
    default:
      return null;
  }
}

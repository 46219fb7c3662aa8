import { makeStyles, tokens } from "@fluentui/react-components";
import { useVirtualizer } from "@tanstack/react-virtual";
import { type KeyboardEvent, type MouseEvent, useCallback, useMemo, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate, useParams } from "react-router";
import { useWidth } from "../../lib/use-size";
import { select, useUi } from "../../store/ui";
import { columnsFor, ROW_HEIGHT, templateOf } from "./columns";
import { GridHeader } from "./GridHeader";
import { GridRow } from "./GridRow";
import { allState, extend, toggle, toggleAll } from "./selection";
import type { Sort, SortKey } from "./view";

const useStyles = makeStyles({
  root: {
    display: "flex",
    flexDirection: "column",
    flexGrow: 1,
    minHeight: 0,
    minWidth: 0,
    ":focus-visible": { outline: `2px solid ${tokens.colorStrokeFocus2}`, outlineOffset: "-2px" },
  },
  scroller: {
    overflowY: "auto",
    overflowX: "hidden",
    flexGrow: 1,
    minHeight: 0,
    scrollbarGutter: "stable",
    outline: "none",
  },
  header: { paddingRight: "0px", scrollbarGutter: "stable", overflow: "hidden", flexShrink: 0 },
  body: { position: "relative", width: "100%" },
});

const OVERSCAN = 4;

type Props = { view: string[]; total: number; sort: Sort; onSort: (key: SortKey) => void };

/** One tab stop; the arrows move a cell cursor, Space picks, Enter opens. */
export function DeviceGrid({ view, total, sort, onSort }: Props) {
  const styles = useStyles();
  const { t } = useTranslation();
  const navigate = useNavigate();
  const { id: openId } = useParams();
  const root = useRef<HTMLDivElement>(null);
  const scroller = useRef<HTMLDivElement>(null);
  const [cursor, setCursor] = useState<{ row: number; column: number } | null>(null);
  const [focused, setFocused] = useState(false);
  const selected = useUi((ui) => ui.selected);
  const width = useWidth(root);
  const columns = useMemo(() => columnsFor(width), [width]);
  const template = templateOf(columns);
  const all = useMemo(() => allState(selected, view), [selected, view]);

  const virtual = useVirtualizer({
    count: view.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_HEIGHT,
    overscan: OVERSCAN,
  });
  // A row that leaves at one end is used again at the other: far quicker than making a new one.
  const rows = virtual.getVirtualItems();
  const slots = Math.max(rows.length, Math.ceil((virtual.scrollRect?.height ?? 0) / ROW_HEIGHT) + 1 + 2 * OVERSCAN);

  const open = useCallback((id: string) => void navigate(`/devices/${encodeURIComponent(id)}`), [navigate]);

  const onPick = useCallback(
    (id: string, row: number, column: number, event: MouseEvent) => {
      setCursor({ row, column });
      // A cell may be scrolled out of existence; the grid keeps the keyboard.
      root.current?.focus({ preventScroll: true });
      const ui = useUi.getState();
      if (event.shiftKey) {
        event.preventDefault();
        select(extend(ui.selected, view, ui.anchor, id), ui.anchor ?? id);
      } else if (column === 0 || event.ctrlKey || event.metaKey) {
        select(toggle(ui.selected, id), id);
      } else {
        open(id);
      }
    },
    [view, open],
  );

  const onKeyDown = (event: KeyboardEvent) => {
    // The boxes and buttons of the header have keys of their own.
    if (event.target instanceof Element && event.target.closest("[role=columnheader]")) return;
    const at = cursor ?? { row: 0, column: 1 };
    const page = Math.max(1, Math.floor((scroller.current?.clientHeight ?? ROW_HEIGHT) / ROW_HEIGHT) - 1);
    const last = view.length - 1;
    const ui = useUi.getState();
    const moveTo = (row: number, column = at.column) => {
      const next = { row: Math.max(0, Math.min(last, row)), column: Math.max(0, Math.min(columns.length - 1, column)) };
      setCursor(next);
      virtual.scrollToIndex(next.row);
      const id = view[next.row];
      if (event.shiftKey && next.row !== at.row && id !== undefined) {
        const anchor = ui.anchor ?? view[at.row] ?? id;
        select(extend(ui.selected, view, anchor, id), anchor);
      }
    };
    const mod = event.ctrlKey || event.metaKey;
    const id = view[at.row];
    switch (event.key) {
      case "ArrowDown":
        moveTo(cursor ? at.row + 1 : 0);
        break;
      case "ArrowUp":
        moveTo(at.row - 1);
        break;
      case "ArrowRight":
        moveTo(at.row, at.column + 1);
        break;
      case "ArrowLeft":
        moveTo(at.row, at.column - 1);
        break;
      case "PageDown":
        moveTo(at.row + page);
        break;
      case "PageUp":
        moveTo(at.row - page);
        break;
      case "Home":
        moveTo(mod ? 0 : at.row, mod ? at.column : 0);
        break;
      case "End":
        moveTo(mod ? last : at.row, mod ? at.column : columns.length - 1);
        break;
      case " ":
        if (id !== undefined) select(event.shiftKey ? extend(ui.selected, view, ui.anchor, id) : toggle(ui.selected, id), ui.anchor ?? id);
        break;
      case "Enter":
        if (id !== undefined) open(id);
        break;
      case "a":
        if (!mod) return;
        select(new Set([...ui.selected, ...view]), ui.anchor);
        break;
      default:
        return;
    }
    event.preventDefault();
  };

  return (
    <div
      ref={root}
      role="grid"
      aria-label={t("nav.devices")}
      aria-rowcount={total + 1}
      aria-colcount={columns.length}
      aria-multiselectable
      className={styles.root}
      tabIndex={0}
      aria-activedescendant={cursor && focused ? `cell-${cursor.row}-${cursor.column}` : undefined}
      onKeyDown={onKeyDown}
      onFocus={() => setFocused(true)}
      onBlur={() => setFocused(false)}
      data-testid="device-grid"
      data-shown={view.length}
    >
      <div className={styles.header} role="rowgroup">
        <GridHeader
          columns={columns}
          template={template}
          sort={sort}
          all={all}
          shown={view.length}
          onSort={onSort}
          onAll={() => select(toggleAll(selected, view), null)}
        />
      </div>
      <div ref={scroller} className={styles.scroller} role="rowgroup" tabIndex={-1}>
        <div className={styles.body} role="presentation" style={{ height: virtual.getTotalSize() }}>
          {rows.map((item) => {
            const id = view[item.index];
            return id === undefined ? null : (
              <GridRow
                key={item.index % slots}
                id={id}
                index={item.index}
                top={item.start}
                columns={columns}
                template={template}
                open={id === openId}
                currentColumn={focused && cursor?.row === item.index ? cursor.column : null}
                onPick={onPick}
              />
            );
          })}
        </div>
      </div>
    </div>
  );
}

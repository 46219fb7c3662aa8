import { makeStyles, mergeClasses, tokens } from "@fluentui/react-components";
import { useVirtualizer } from "@tanstack/react-virtual";
import { type KeyboardEvent, type ReactNode, useEffect, useId, useRef, useState } from "react";
import { useWidth } from "../../lib/use-size";

const ROW = 40;
const OVERSCAN = 6;

const useStyles = makeStyles({
  root: {
    display: "flex",
    flexDirection: "column",
    flexGrow: 1,
    minHeight: "120px",
    minWidth: 0,
    ":focus-visible": { outline: `2px solid ${tokens.colorStrokeFocus2}`, outlineOffset: "-2px" },
  },
  header: { flexShrink: 0, overflow: "hidden", scrollbarGutter: "stable" },
  scroller: { overflowY: "auto", overflowX: "hidden", flexGrow: 1, minHeight: 0, scrollbarGutter: "stable", outline: "none" },
  body: { position: "relative", width: "100%" },
  row: { display: "grid", alignItems: "center", boxSizing: "border-box" },
  head: {
    height: "32px",
    color: tokens.colorNeutralForeground2,
    fontSize: tokens.fontSizeBase200,
    fontWeight: tokens.fontWeightSemibold,
    borderBottom: `1px solid ${tokens.colorNeutralStroke2}`,
  },
  item: {
    position: "absolute",
    left: 0,
    right: 0,
    height: `${ROW}px`,
    cursor: "pointer",
    borderBottom: `1px solid ${tokens.colorNeutralStroke3}`,
    ":hover": { backgroundColor: tokens.colorNeutralBackground3 },
  },
  chosen: { backgroundColor: tokens.colorNeutralBackground1Selected, boxShadow: `inset 3px 0 0 ${tokens.colorBrandStroke1}` },
  current: { outline: `2px solid ${tokens.colorStrokeFocus2}`, outlineOffset: "-2px" },
  cell: { padding: "0 8px", minWidth: 0, overflow: "hidden", textOverflow: "ellipsis", whiteSpace: "nowrap" },
  /** Holds the place of a row; it does not move, for there may be a screen full of them at every step of a scroll. */
  blank: { display: "block", width: "38%", height: "12px", margin: "0 8px", borderRadius: tokens.borderRadiusMedium, backgroundColor: tokens.colorNeutralBackground4 },
});

/** `from` is the width of the list at which the column has room. */
export type GridColumn<K extends string> = { key: K; title: string; width: string; from: number };

type Props<R, K extends string> = {
  label: string;
  columns: GridColumn<K>[];
  total: number;
  /** Absent while its page is not here yet. */
  rowAt: (index: number) => R | undefined;
  idOf: (row: R) => string;
  factsOf: (row: R) => Record<string, string>;
  cell: (row: R, key: K) => ReactNode;
  chosen?: string | null;
  onShow: (first: number, last: number) => void;
  onOpen: (row: R) => void;
  testId: string;
};

/** A long list whose pages come as they are looked at. One tab stop; arrows move, Enter opens. */
export function PagedGrid<R, K extends string>({ label, columns, total, rowAt, idOf, factsOf, cell, chosen, onShow, onOpen, testId }: Props<R, K>) {
  const styles = useStyles();
  const id = useId();
  const root = useRef<HTMLDivElement>(null);
  const scroller = useRef<HTMLDivElement>(null);
  const [cursor, setCursor] = useState<number | null>(null);
  const [focused, setFocused] = useState(false);
  const width = useWidth(root);
  const shown = columns.filter((column) => column.from <= width);
  const template = shown.map((column) => column.width).join(" ");
  const virtual = useVirtualizer({ count: total, getScrollElement: () => scroller.current, estimateSize: () => ROW, overscan: OVERSCAN });
  const items = virtual.getVirtualItems();
  // A row that leaves at one end is used again at the other: far quicker than making a new one.
  const slots = Math.max(items.length, Math.ceil((virtual.scrollRect?.height ?? 0) / ROW) + 1 + 2 * OVERSCAN);
  const first = items[0]?.index ?? 0;
  const last = items.at(-1)?.index ?? 0;
  useEffect(() => onShow(first, last), [onShow, first, last]);

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.target !== event.currentTarget && event.target !== scroller.current) return;
    const page = Math.max(1, Math.floor((scroller.current?.clientHeight ?? ROW) / ROW) - 1);
    const at = cursor ?? -1;
    const goal = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + page, PageUp: at - page, Home: 0, End: total - 1 }[event.key];
    if (goal !== undefined) {
      const next = Math.max(0, Math.min(total - 1, goal));
      setCursor(next);
      virtual.scrollToIndex(next);
    } else if (event.key === "Enter") {
      const row = cursor === null ? undefined : rowAt(cursor);
      if (!row) return;
      onOpen(row);
    } else {
      return;
    }
    event.preventDefault();
  };

  return (
    <div
      ref={root}
      role="grid"
      aria-label={label}
      aria-rowcount={total + 1}
      aria-colcount={shown.length}
      aria-activedescendant={focused && cursor !== null ? `${id}-${cursor}` : undefined}
      tabIndex={0}
      className={styles.root}
      onKeyDown={onKeyDown}
      onFocus={() => setFocused(true)}
      onBlur={() => setFocused(false)}
      data-testid={testId}
      data-total={total}
    >
      <div role="rowgroup" className={styles.header}>
        <div role="row" aria-rowindex={1} className={mergeClasses(styles.row, styles.head)} style={{ gridTemplateColumns: template }}>
          {shown.map((column) => (
            <span key={column.key} role="columnheader" className={styles.cell}>
              {column.title}
            </span>
          ))}
        </div>
      </div>
      <div ref={scroller} role="rowgroup" className={styles.scroller} tabIndex={-1}>
        <div role="presentation" className={styles.body} style={{ height: virtual.getTotalSize() }}>
          {items.map((item) => {
            const row = rowAt(item.index);
            const place = { transform: `translateY(${item.start}px)`, gridTemplateColumns: template };
            const isCurrent = focused && cursor === item.index;
            if (!row) {
              return (
                <div key={item.index % slots} id={`${id}-${item.index}`} role="row" aria-rowindex={item.index + 2} className={mergeClasses(styles.row, styles.item, isCurrent && styles.current)} style={place}>
                  <span role="gridcell" style={{ gridColumn: "1 / -1" }}>
                    <span className={styles.blank} />
                  </span>
                </div>
              );
            }
            const isChosen = chosen !== undefined && chosen === idOf(row);
            return (
              // The keys are heard by the grid, which knows the row they are meant for.
              // eslint-disable-next-line jsx-a11y/click-events-have-key-events
              <div
                key={item.index % slots}
                id={`${id}-${item.index}`}
                role="row"
                aria-rowindex={item.index + 2}
                aria-selected={isChosen}
                tabIndex={-1}
                className={mergeClasses(styles.row, styles.item, isChosen && styles.chosen, isCurrent && styles.current)}
                style={place}
                onClick={() => {
                  setCursor(item.index);
                  // A row may be scrolled out of existence; the grid keeps the keyboard.
                  root.current?.focus({ preventScroll: true });
                  onOpen(row);
                }}
                {...factsOf(row)}
              >
                {shown.map((column) => (
                  <span key={column.key} role="gridcell" className={styles.cell}>
                    {cell(row, column.key)}
                  </span>
                ))}
              </div>
            );
          })}
        </div>
      </div>
    </div>
  );
}

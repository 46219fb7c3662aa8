import { makeStyles, mergeClasses, tokens } from "@fluentui/react-components";
import { ChevronDownRegular } from "@fluentui/react-icons/svg/chevron-down";
import { ChevronRightRegular } from "@fluentui/react-icons/svg/chevron-right";
import { useVirtualizer } from "@tanstack/react-virtual";
import { type KeyboardEvent, useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { formatAbsolute, formatTime } from "../lib/format";
import { prettyText } from "../lib/json-text";
import type { Row } from "../store/lines";

const LINE = 24;

const useStyles = makeStyles({
  root: {
    height: "360px",
    overflowY: "auto",
    border: `1px solid ${tokens.colorNeutralStroke2}`,
    borderRadius: tokens.borderRadiusMedium,
    backgroundColor: tokens.colorNeutralBackground1,
    ":focus-visible": { outline: `2px solid ${tokens.colorStrokeFocus2}`, outlineOffset: "-2px" },
  },
  fill: { height: "auto", flexGrow: 1, minHeight: "120px" },
  body: { position: "relative", width: "100%", margin: 0, padding: 0, listStyleType: "none" },
  row: {
    position: "absolute",
    left: 0,
    right: 0,
    fontFamily: tokens.fontFamilyMonospace,
    fontSize: tokens.fontSizeBase200,
    lineHeight: tokens.lineHeightBase200,
  },
  line: { display: "grid", gridTemplateColumns: "96px 18px minmax(0, 1fr)", columnGap: "4px", padding: "4px 12px" },
  time: { color: tokens.colorNeutralForeground3, fontVariantNumeric: "tabular-nums" },
  text: { overflowWrap: "anywhere" },
  plain: { color: tokens.colorNeutralForeground1 },
  brand: { color: tokens.colorBrandForeground1 },
  quiet: { color: tokens.colorNeutralForeground2 },
  bad: { color: tokens.colorPaletteRedForeground1 },
  skipped: { color: tokens.colorNeutralForeground3, padding: "4px 12px", fontStyle: "italic" },
  expand: {
    font: "inherit",
    color: "inherit",
    background: "none",
    border: "none",
    padding: 0,
    textAlign: "left",
    cursor: "pointer",
    display: "inline-flex",
    alignItems: "start",
    gap: "2px",
    borderRadius: tokens.borderRadiusSmall,
    ":hover": { textDecorationLine: "underline" },
    ":focus-visible": { outline: `2px solid ${tokens.colorStrokeFocus2}` },
    "& svg": { fontSize: "14px", flexShrink: 0, marginTop: "1px" },
  },
  detail: {
    margin: "4px 0 2px",
    padding: "6px 8px",
    whiteSpace: "pre-wrap",
    overflowWrap: "anywhere",
    fontFamily: "inherit",
    fontSize: "inherit",
    backgroundColor: tokens.colorNeutralBackground3,
    borderRadius: tokens.borderRadiusMedium,
  },
});

export type LogLine = { sequence: number; at: string; kind: string; text: string; detail?: string | null };
/** How a line of some kind looks: a mark, its meaning in words, and a colour that never speaks alone. */
export type LineLook = { mark: string; label: string; tone: "plain" | "brand" | "quiet" | "bad" };

type Props<L extends LogLine> = {
  rows: Row<L>[];
  label: string;
  look: (kind: L["kind"]) => LineLook;
  onPause: () => void;
  fill?: boolean;
  testId: string;
};

/** Follows the newest line as long as it is in sight; Space pauses. */
export function LogLines<L extends LogLine>({ rows, label, look, onPause, fill, testId }: Props<L>) {
  const styles = useStyles();
  const scroller = useRef<HTMLDivElement>(null);
  const atEnd = useRef(true);
  const [open, setOpen] = useState<ReadonlySet<number>>(new Set());
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    getItemKey: (index) => rows[index]?.key ?? index,
    estimateSize: () => LINE,
    overscan: 10,
  });
  const last = rows.at(-1)?.key;
  useEffect(() => {
    if (atEnd.current && rows.length > 0) virtual.scrollToIndex(rows.length - 1, { align: "end" });
    // Only a new line moves the view, not each measurement.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [last]);
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== " " || event.target !== event.currentTarget) return;
    event.preventDefault();
    onPause();
  };
  const toggle = (key: number) =>
    setOpen((before) => {
      const next = new Set(before);
      if (!next.delete(key)) next.add(key);
      return next;
    });
  return (
    // A scrolled region that cannot be focused cannot be read with the keyboard.
    // eslint-disable-next-line jsx-a11y/no-noninteractive-element-interactions
    <div
      ref={scroller}
      role="log"
      aria-live="off"
      aria-label={label}
      // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
      tabIndex={0}
      className={mergeClasses(styles.root, fill && styles.fill)}
      onKeyDown={onKeyDown}
      onScroll={({ currentTarget: view }) => {
        atEnd.current = view.scrollHeight - view.scrollTop - view.clientHeight < LINE;
      }}
      data-testid={testId}
    >
      <ul className={styles.body} style={{ height: virtual.getTotalSize() }}>
        {virtual.getVirtualItems().map((item) => {
          const row = rows[item.index];
          if (!row) return null;
          return (
            <li key={item.key} ref={virtual.measureElement} data-index={item.index} className={styles.row} style={{ top: item.start }}>
              <Line row={row} look={look(row.line.kind)} open={open.has(row.key)} onToggle={() => toggle(row.key)} />
            </li>
          );
        })}
      </ul>
    </div>
  );
}

function Line({ row: { line, skipped }, look, open, onToggle }: { row: Row<LogLine>; look: LineLook; open: boolean; onToggle: () => void }) {
  const styles = useStyles();
  const { t } = useTranslation();
  const text = mergeClasses(styles.text, look.tone === "bad" && styles.bad);
  return (
    <>
      {skipped > 0 ? <div className={styles.skipped}>{t("log.skipped", { count: skipped })}</div> : null}
      <div className={styles.line} data-kind={line.kind}>
        <time className={styles.time} dateTime={line.at} title={formatAbsolute(line.at)}>
          {formatTime(line.at)}
        </time>
        <span className={styles[look.tone]} role="img" aria-label={look.label} title={look.label}>
          {look.mark}
        </span>
        <div className={text}>
          {line.detail ? (
            <button type="button" className={styles.expand} aria-expanded={open} onClick={onToggle}>
              {open ? <ChevronDownRegular aria-hidden /> : <ChevronRightRegular aria-hidden />}
              {line.text}
            </button>
          ) : (
            line.text
          )}
          {open && line.detail ? <pre className={styles.detail}>{prettyText(line.detail)}</pre> : null}
        </div>
      </div>
    </>
  );
}

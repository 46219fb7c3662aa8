import { makeStyles, mergeClasses, tokens } from "@fluentui/react-components";
import { useVirtualizer } from "@tanstack/react-virtual";
import { type KeyboardEvent, useEffect, useRef } from "react";
import { useTranslation } from "react-i18next";
import { formatAbsolute, formatTime } from "../../lib/format";
import type { Row } from "../../store/local-hub";

const HEIGHT = 360;
const LINE = 24;

const useStyles = makeStyles({
  root: {
    height: `${HEIGHT}px`,
    overflowY: "auto",
    border: `1px solid ${tokens.colorNeutralStroke2}`,
    borderRadius: tokens.borderRadiusMedium,
    backgroundColor: tokens.colorNeutralBackground1,
    ":focus-visible": { outline: `2px solid ${tokens.colorStrokeFocus2}`, outlineOffset: "-2px" },
  },
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
  received: { color: tokens.colorNeutralForeground1 },
  sent: { color: tokens.colorBrandForeground1 },
  closed: { color: tokens.colorNeutralForeground2 },
  refused: { color: tokens.colorPaletteRedForeground1 },
  skipped: { color: tokens.colorNeutralForeground3, padding: "4px 12px", fontStyle: "italic" },
});

type Props = { rows: Row[]; label: string; onPause: () => void };

/** Follows the newest line as long as it is in sight; Space pauses. */
export function ProtocolLines({ rows, label, onPause }: Props) {
  const styles = useStyles();
  const { t } = useTranslation();
  const scroller = useRef<HTMLDivElement>(null);
  const atEnd = useRef(true);
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
    if (event.key !== " ") return;
    event.preventDefault();
    onPause();
  };
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
      className={styles.root}
      onKeyDown={onKeyDown}
      onScroll={({ currentTarget: view }) => {
        atEnd.current = view.scrollHeight - view.scrollTop - view.clientHeight < LINE;
      }}
      data-testid="protocol-lines"
    >
      <ul className={styles.body} style={{ height: virtual.getTotalSize() }}>
        {virtual.getVirtualItems().map((item) => {
          const row = rows[item.index];
          if (!row) return null;
          const { line, skipped } = row;
          return (
            <li key={item.key} ref={virtual.measureElement} data-index={item.index} className={styles.row} style={{ top: item.start }}>
              {skipped > 0 ? <div className={styles.skipped}>{t("localHub.protocol.skipped", { count: skipped })}</div> : null}
              <div className={styles.line} data-kind={line.kind}>
                <time className={styles.time} dateTime={line.at} title={formatAbsolute(line.at)}>
                  {formatTime(line.at)}
                </time>
                <span className={styles[line.kind]} role="img" aria-label={t(`localHub.protocol.kinds.${line.kind}`)} title={t(`localHub.protocol.kinds.${line.kind}`)}>
                  {t(`localHub.protocol.arrows.${line.kind}`)}
                </span>
                <span className={mergeClasses(styles.text, line.kind === "refused" && styles.refused)}>{line.text}</span>
              </div>
            </li>
          );
        })}
      </ul>
    </div>
  );
}

import { Button, makeStyles, mergeClasses, Text, tokens, Tooltip } from "@fluentui/react-components";
import { CopyRegular } from "@fluentui/react-icons/svg/copy";
import { DeleteRegular } from "@fluentui/react-icons/svg/delete";
import { PauseRegular } from "@fluentui/react-icons/svg/pause";
import { PlayRegular } from "@fluentui/react-icons/svg/play";
import { type ReactElement, type ReactNode, useMemo, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { copyText } from "../lib/clipboard";
import { useWidth } from "../lib/use-size";
import { rowsOf } from "../store/lines";
import { LogLines, type LineLook, type LogLine } from "./LogLines";

/** Below this the buttons are icons. */
const WORDS_FROM = 560;

const useStyles = makeStyles({
  root: { display: "flex", flexDirection: "column", gap: "8px", minWidth: 0 },
  fill: { flexGrow: 1, minHeight: 0 },
  bar: { display: "flex", gap: "8px", alignItems: "end", flexWrap: "wrap" },
  space: { flexGrow: 1 },
  count: { color: tokens.colorNeutralForeground2, lineHeight: "32px" },
});

type Props<L extends LogLine> = {
  /** As they come, oldest first. */
  lines: L[];
  label: string;
  look: (kind: L["kind"]) => LineLook;
  onClear: () => void;
  /** At the left of the bar. */
  start?: ReactNode;
  /** Between the bar and the lines. */
  error?: ReactNode;
  /** Instead of lines while there are none. */
  empty: ReactNode;
  /** Takes the height that is there. */
  fill?: boolean;
  testId: string;
};

/** Lines as they are said, which can be held, cleared and copied. */
export function LogView<L extends LogLine>({ lines: live, label, look, onClear, start, error, empty, fill, testId }: Props<L>) {
  const styles = useStyles();
  const { t } = useTranslation();
  const root = useRef<HTMLDivElement>(null);
  const words = useWidth(root) >= WORDS_FROM;
  /** What was there when the person paused; the store goes on. */
  const [paused, setPaused] = useState<L[] | null>(null);
  const lines = paused ?? live;
  const rows = useMemo(() => rowsOf(lines), [lines]);
  const newer = (live.at(-1)?.sequence ?? -1) - (paused?.at(-1)?.sequence ?? -1);
  const toggle = () => setPaused(paused === null ? live : null);
  const clear = () => {
    onClear();
    setPaused(paused && []);
  };
  const copy = () =>
    copyText(lines.map((line) => [line.at, look(line.kind).mark, line.text, line.detail].filter(Boolean).join(" ")).join("\n"));
  const action = (name: "pause" | "resume" | "clear" | "copy", icon: ReactElement, disabled: boolean, onClick: () => void, id: string = name) => {
    const button = (
      <Button icon={icon} disabled={disabled} onClick={onClick} data-testid={`${testId}-${id}`}>
        {words ? t(`log.${name}`) : null}
      </Button>
    );
    return words ? (
      button
    ) : (
      <Tooltip content={t(`log.${name}`)} relationship="label">
        {button}
      </Tooltip>
    );
  };
  return (
    <div ref={root} className={mergeClasses(styles.root, fill && styles.fill)}>
      <div className={styles.bar}>
        {start}
        <span className={styles.space} />
        <Text size={200} className={styles.count} data-testid={`${testId}-count`}>
          {paused && newer > 0 ? t("log.paused", { count: newer }) : t("log.count", { count: lines.length })}
        </Text>
        {action(paused ? "resume" : "pause", paused ? <PlayRegular /> : <PauseRegular />, live.length === 0 && !paused, toggle, "pause")}
        {action("clear", <DeleteRegular />, lines.length === 0, clear)}
        {action("copy", <CopyRegular />, lines.length === 0, () => void copy())}
      </div>
      {error}
      {rows.length > 0 ? (
        <LogLines rows={rows} label={label} look={look} onPause={toggle} fill={fill ?? false} testId={`${testId}-lines`} />
      ) : (
        empty
      )}
    </div>
  );
}

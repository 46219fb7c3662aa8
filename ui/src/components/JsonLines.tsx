import { makeStyles, mergeClasses, tokens } from "@fluentui/react-components";
import { useMemo } from "react";
import type { JsonValue } from "../ipc";
import { jsonLines } from "../lib/json-lines";
import { jsonColours } from "./editor-theme";

const useStyles = makeStyles({
  root: {
    margin: 0,
    padding: "6px 0",
    fontFamily: tokens.fontFamilyMonospace,
    fontSize: "13px",
    lineHeight: "1.5",
    overflow: "auto",
    whiteSpace: "pre-wrap",
    overflowWrap: "anywhere",
    border: `1px solid ${tokens.colorNeutralStroke2}`,
    borderRadius: tokens.borderRadiusMedium,
    backgroundColor: tokens.colorNeutralBackground2,
    ":focus-visible": { outline: `2px solid ${tokens.colorStrokeFocus2}`, outlineOffset: "-1px" },
  },
  line: { display: "block", paddingRight: "8px", borderLeft: "3px solid transparent" },
  changed: {
    borderLeftColor: tokens.colorBrandStroke1,
    backgroundColor: tokens.colorBrandBackground2,
    transition: "background-color 150ms",
  },
  key: { color: jsonColours.key },
  string: { color: jsonColours.string },
  number: { color: jsonColours.number },
  word: { color: jsonColours.word },
  mark: { color: jsonColours.mark },
});

type Props = {
  value: JsonValue;
  label: string;
  changed?: ReadonlySet<string>;
  titleOf?: (path: string) => string | undefined;
  testId?: string;
  className?: string;
};

/** JSON to read, with a mark on the lines that just changed. */
export function JsonLines({ value, label, changed, titleOf, testId, className }: Props) {
  const styles = useStyles();
  const lines = useMemo(() => jsonLines(value), [value]);
  return (
    // Scrolls, so the keyboard has to be able to reach it.
    // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
    <pre className={mergeClasses(styles.root, className)} aria-label={label} role="region" tabIndex={0} data-testid={testId}>
      {lines.map((line, index) => {
        const isChanged = changed?.has(line.path) ?? false;
        return (
          <span
            key={index}
            className={mergeClasses(styles.line, isChanged && styles.changed)}
            style={{ paddingLeft: `${8 + line.indent * 16}px` }}
            title={line.path === "" ? undefined : titleOf?.(line.path)}
            data-changed={isChanged || undefined}
          >
            {line.key === null ? null : (
              <>
                <span className={styles.key}>{JSON.stringify(line.key)}</span>
                <span className={styles.mark}>{": "}</span>
              </>
            )}
            <span className={styles[line.kind]}>{line.text}</span>
            {line.comma ? <span className={styles.mark}>{","}</span> : null}
            {"\n"}
          </span>
        );
      })}
    </pre>
  );
}

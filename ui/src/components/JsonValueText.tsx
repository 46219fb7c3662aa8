import { makeStyles, mergeClasses, tokens } from "@fluentui/react-components";
import { useTranslation } from "react-i18next";
import type { JsonValue } from "../ipc";

const SHOWN = 300;

const useStyles = makeStyles({
  value: { fontFamily: tokens.fontFamilyMonospace, fontSize: tokens.fontSizeBase200, overflowWrap: "anywhere" },
  gone: { color: tokens.colorNeutralForeground3, textDecorationLine: "line-through" },
  absent: { color: tokens.colorNeutralForeground3, fontStyle: "italic" },
});

/** A value in a line of text; undefined is said in words. `gone` strikes out what no longer is. */
export function JsonValueText({ value, gone = false }: { value: JsonValue | undefined; gone?: boolean }) {
  const styles = useStyles();
  const { t } = useTranslation();
  if (value === undefined) return <span className={mergeClasses(styles.value, styles.absent)}>{t("history.absent")}</span>;
  const text = JSON.stringify(value);
  const short = text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text;
  const title = short === text ? undefined : text;
  return gone ? (
    <del className={mergeClasses(styles.value, styles.gone)} title={title}>
      {short}
    </del>
  ) : (
    <span className={styles.value} title={title}>
      {short}
    </span>
  );
}

import { makeStyles, Text, tokens } from "@fluentui/react-components";
import { useCallback, useMemo } from "react";
import { useTranslation } from "react-i18next";
import { JsonLines } from "../../components/JsonLines";
import { formatAbsolute, formatAgo } from "../../lib/format";
import { isObject, valueAt } from "../../lib/json-patch";
import { PROPERTIES_LIMIT } from "../../lib/json-text";
import { useNow } from "../../lib/use-now";
import type { WatchedTwin } from "../../store/twins";
import { SectionHead } from "./SectionHead";

const FRESH = 10_000;
const LISTED = 6;
const PREFIX = "reported.";

const useStyles = makeStyles({
  root: { display: "flex", flexDirection: "column", gap: "8px", minWidth: 0 },
  lines: { minHeight: "96px", maxHeight: "460px" },
  list: { margin: 0, padding: 0, listStyleType: "none", display: "flex", flexDirection: "column", gap: "2px" },
  item: { display: "flex", gap: "12px", justifyContent: "space-between" },
  path: { fontFamily: tokens.fontFamilyMonospace, fontSize: tokens.fontSizeBase200, overflowWrap: "anywhere" },
  time: { color: tokens.colorNeutralForeground3, whiteSpace: "nowrap" },
});

/** What the device says about itself, as it says it. */
export function ReportedView({ watched }: { watched: WatchedTwin }) {
  const styles = useStyles();
  const { t } = useTranslation();
  const now = useNow(1000);
  const { twin } = watched;

  const changes = useMemo(
    () => watched.changes.filter(({ path }) => path.startsWith(PREFIX)).map(({ path, at }) => ({ path: path.slice(PREFIX.length), at })),
    [watched.changes],
  );
  const freshKey = changes
    .filter(({ at }) => now - at < FRESH)
    .map(({ path }) => path)
    .join("\n");
  const fresh = useMemo(() => new Set(freshKey === "" ? [] : freshKey.split("\n")), [freshKey]);

  const titleOf = useCallback(
    (path: string) => {
      const entry = valueAt(twin.reportedMetadata, path);
      const time = isObject(entry) ? entry.$lastUpdated : undefined;
      return typeof time === "string" ? t("twin.lastUpdated", { time: formatAbsolute(time) }) : undefined;
    },
    [twin.reportedMetadata, t],
  );

  return (
    <section className={styles.root} aria-label={t("twin.reported")}>
      <SectionHead title={t("twin.reported")} version={twin.reportedVersion} size={twin.reportedSize} limit={PROPERTIES_LIMIT} />
      <JsonLines className={styles.lines} value={twin.reported} label={t("twin.reported")} changed={fresh} titleOf={titleOf} testId="twin-reported" />
      {changes.length > 0 ? (
        <>
          <Text size={200} weight="semibold">
            {t("twin.justChanged")}
          </Text>
          <ul className={styles.list}>
            {changes.slice(0, LISTED).map(({ path, at }) => (
              <li key={path} className={styles.item}>
                <span className={styles.path}>{path}</span>
                <Text size={200} className={styles.time} title={formatAbsolute(at)}>
                  {formatAgo(at, now)}
                </Text>
              </li>
            ))}
          </ul>
        </>
      ) : null}
    </section>
  );
}

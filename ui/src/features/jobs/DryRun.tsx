import { makeStyles, mergeClasses, MessageBar, MessageBarBody, Spinner, Subtitle2, Text, tokens } from "@fluentui/react-components";
import { useTranslation } from "react-i18next";
import type { DifferenceLine, JobPreview, TwinDifference } from "../../ipc";
import { useDelayed } from "../../lib/use-delayed";
import { estimateText } from "./words";

const useStyles = makeStyles({
  root: { display: "flex", flexDirection: "column", gap: "12px", minWidth: 0 },
  head: { display: "flex", gap: "8px", alignItems: "center" },
  sums: { display: "flex", gap: "8px 24px", flexWrap: "wrap" },
  sum: { display: "flex", flexDirection: "column" },
  quiet: { color: tokens.colorNeutralForeground2 },
  stale: { opacity: 0.6 },
  ids: { fontFamily: tokens.fontFamilyMonospace, overflowWrap: "anywhere" },
  notes: { margin: 0, padding: 0, listStyleType: "none", display: "flex", flexDirection: "column", gap: "6px" },
  table: { borderCollapse: "collapse", width: "100%", tableLayout: "fixed" },
  cell: {
    textAlign: "left",
    verticalAlign: "top",
    padding: "3px 8px 3px 0",
    fontFamily: tokens.fontFamilyMonospace,
    fontSize: tokens.fontSizeBase200,
    fontWeight: tokens.fontWeightRegular,
    overflowWrap: "anywhere",
    borderTop: `1px solid ${tokens.colorNeutralStroke3}`,
  },
  headCell: { fontFamily: tokens.fontFamilyBase, color: tokens.colorNeutralForeground2, borderTopStyle: "none" },
  absent: { fontFamily: tokens.fontFamilyBase, color: tokens.colorNeutralForeground2 },
  device: { fontFamily: tokens.fontFamilyMonospace, fontWeight: tokens.fontWeightSemibold, overflowWrap: "anywhere" },
});

type Props = {
  preview: JobPreview | null;
  isFresh: boolean;
  isTwin: boolean;
  /** The devices cannot be told: their condition has a mistake. */
  isMistake: boolean;
};

/** What would happen, before anything does. */
export function DryRun({ preview, isFresh, isTwin, isMistake }: Props) {
  const styles = useStyles();
  const { t } = useTranslation();
  const slow = useDelayed(!isFresh, 400);
  return (
    <section className={styles.root} aria-label={t("jobs.dry.title")} data-testid="dry-run" data-count={preview?.count ?? ""} data-fresh={isFresh}>
      <div className={styles.head}>
        <Subtitle2 as="h2">{t("jobs.dry.title")}</Subtitle2>
        {slow && preview !== null ? <Spinner size="extra-tiny" aria-label={t("common.loading")} /> : null}
      </div>
      {preview === null ? (
        <Text className={styles.quiet}>{t("jobs.dry.nothing")}</Text>
      ) : (
        <div className={mergeClasses(styles.root, slow && styles.stale)}>
          <div className={isMistake ? undefined : styles.sums} role="status" hidden={isMistake}>
            <Sum name={t("jobs.dry.devices")} value={t("jobs.number", { count: preview.count })} />
            <Sum name={t("jobs.dry.connected")} value={t("jobs.number", { count: preview.connected })} />
            {isTwin ? <Sum name={t("jobs.dry.unchanged")} value={t("jobs.number", { count: preview.unchanged })} /> : null}
            {preview.estimatedSeconds === null ? null : <Sum name={t("jobs.dry.estimate")} value={estimateText(preview.estimatedSeconds)} />}
          </div>
          {preview.count === 0 ? (
            <Text>{t(isMistake ? "jobs.dry.wrong" : "jobs.dry.none")}</Text>
          ) : (
            <Text size={200} className={styles.ids} data-testid="dry-run-sample">
              {preview.sample.join(", ")}
              {preview.count > preview.sample.length ? ` ${t("devices.andMore", { count: preview.count - preview.sample.length })}` : null}
            </Text>
          )}
          {preview.notes.length > 0 ? (
            <ul className={styles.notes}>
              {preview.notes.map((note) => (
                <li key={note}>
                  <MessageBar intent="info" layout="multiline">
                    <MessageBarBody>{note}</MessageBarBody>
                  </MessageBar>
                </li>
              ))}
            </ul>
          ) : null}
          {preview.differences.length > 0 ? <Differences list={preview.differences} rest={preview.count - preview.unchanged - preview.differences.length} /> : null}
        </div>
      )}
    </section>
  );
}

function Sum({ name, value }: { name: string; value: string }) {
  const styles = useStyles();
  return (
    <span className={styles.sum}>
      <Text size={200} className={styles.quiet}>
        {name}
      </Text>
      <Text size={500} weight="semibold">
        {value}
      </Text>
    </span>
  );
}

function Differences({ list, rest }: { list: TwinDifference[]; rest: number }) {
  const styles = useStyles();
  const { t } = useTranslation();
  const shown = (value: DifferenceLine["before"]) =>
    value === null || value === undefined ? <span className={styles.absent}>{t("jobs.dry.absent")}</span> : JSON.stringify(value);
  return (
    <table className={styles.table} aria-label={t("jobs.dry.differences")} data-testid="dry-run-differences">
      <thead>
        <tr>
          {(["path", "before", "after"] as const).map((column) => (
            <th key={column} scope="col" className={mergeClasses(styles.cell, styles.headCell)}>
              {t(`jobs.dry.${column}`)}
            </th>
          ))}
        </tr>
      </thead>
      {list.map((device) => (
        <tbody key={device.deviceId}>
          <tr>
            <th colSpan={3} scope="rowgroup" className={mergeClasses(styles.cell, styles.device)}>
              {device.deviceId}
            </th>
          </tr>
          {device.lines.map((line) => (
            <tr key={line.path}>
              <td className={styles.cell}>{line.path}</td>
              <td className={styles.cell}>{shown(line.before)}</td>
              <td className={styles.cell}>{shown(line.after)}</td>
            </tr>
          ))}
        </tbody>
      ))}
      {rest > 0 ? (
        <tfoot>
          <tr>
            <td colSpan={3} className={mergeClasses(styles.cell, styles.headCell)}>
              {t("jobs.dry.rest", { count: rest })}
            </td>
          </tr>
        </tfoot>
      ) : null}
    </table>
  );
}

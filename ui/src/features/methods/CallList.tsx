import { Button, makeStyles, mergeClasses, Subtitle2, Text, tokens, Tooltip } from "@fluentui/react-components";
import { ArrowClockwiseRegular } from "@fluentui/react-icons/svg/arrow-clockwise";
import { BookmarkAddRegular } from "@fluentui/react-icons/svg/bookmark-add";
import { CheckmarkCircleRegular } from "@fluentui/react-icons/svg/checkmark-circle";
import { EditRegular } from "@fluentui/react-icons/svg/edit";
import { ErrorCircleRegular } from "@fluentui/react-icons/svg/error-circle";
import { HourglassHalfRegular } from "@fluentui/react-icons/svg/hourglass-half";
import { useTranslation } from "react-i18next";
import { RelativeTime } from "../../components/RelativeTime";
import type { MethodCall } from "../../ipc";
import { formatDuration } from "../../lib/format";

const SHOWN = 50;

const useStyles = makeStyles({
  list: { listStyleType: "none", margin: "6px 0 0", padding: 0 },
  item: { display: "flex", alignItems: "center", gap: "8px", borderBottom: `1px solid ${tokens.colorNeutralStroke3}`, minHeight: "36px" },
  shown: { backgroundColor: tokens.colorBrandBackground2 },
  main: {
    display: "flex",
    gap: "10px",
    alignItems: "center",
    flexGrow: 1,
    minWidth: 0,
    font: "inherit",
    color: "inherit",
    background: "none",
    border: "none",
    textAlign: "left",
    padding: "6px 4px",
    cursor: "pointer",
    borderRadius: tokens.borderRadiusMedium,
    ":focus-visible": { outline: `2px solid ${tokens.colorStrokeFocus2}` },
  },
  icon: { fontSize: "16px", flexShrink: 0 },
  good: { color: tokens.colorPaletteGreenForeground1 },
  bad: { color: tokens.colorPaletteRedForeground1 },
  payload: { flexGrow: 1, overflow: "hidden", textOverflow: "ellipsis", whiteSpace: "nowrap", color: tokens.colorNeutralForeground3, fontFamily: tokens.fontFamilyMonospace },
  quiet: { color: tokens.colorNeutralForeground3, whiteSpace: "nowrap" },
});

type Props = {
  calls: MethodCall[];
  busy: boolean;
  shown: number | null;
  onShow: (id: number) => void;
  onEdit: (call: MethodCall) => void;
  onRepeat: (call: MethodCall) => void;
  onKeep: (call: MethodCall) => void;
};

export function CallList({ calls, busy, shown, onShow, onEdit, onRepeat, onKeep }: Props) {
  const styles = useStyles();
  const { t } = useTranslation();
  if (calls.length === 0) return null;
  return (
    <section aria-labelledby="past-calls">
      <Subtitle2 as="h3" id="past-calls">
        {t("methods.past", { count: calls.length })}
      </Subtitle2>
      <ul className={styles.list}>
        {calls.slice(0, SHOWN).map((call) => {
          const good = call.status !== null && call.status >= 200 && call.status < 300;
          const icon =
            call.durationMs === null ? <HourglassHalfRegular /> : good ? <CheckmarkCircleRegular /> : <ErrorCircleRegular />;
          return (
            <li key={call.id} className={mergeClasses(styles.item, call.id === shown && styles.shown)} data-testid="method-call">
              <button type="button" className={styles.main} onClick={() => onShow(call.id)}>
                <span className={mergeClasses(styles.icon, call.durationMs !== null && (good ? styles.good : styles.bad))} aria-hidden>
                  {icon}
                </span>
                <Text weight="semibold">{call.methodName}</Text>
                <Text size={200} className={styles.payload}>
                  {call.payloadText}
                </Text>
                <Text size={200} className={styles.quiet}>
                  {call.durationMs === null
                    ? t("methods.runningShort")
                    : call.status === null
                      ? t("methods.failedShort")
                      : t("methods.line", { status: call.status, duration: formatDuration(call.durationMs) })}
                </Text>
                <Text size={200} className={styles.quiet}>
                  <RelativeTime time={call.startedAt} />
                </Text>
              </button>
              <Tooltip content={t("methods.repeat", { name: call.methodName })} relationship="label">
                <Button size="small" appearance="subtle" icon={<ArrowClockwiseRegular />} disabled={busy} onClick={() => onRepeat(call)} data-testid="call-repeat" />
              </Tooltip>
              <Tooltip content={t("methods.edit", { name: call.methodName })} relationship="label">
                <Button size="small" appearance="subtle" icon={<EditRegular />} onClick={() => onEdit(call)} data-testid="call-edit" />
              </Tooltip>
              <Tooltip content={t("methods.keep", { name: call.methodName })} relationship="label">
                <Button size="small" appearance="subtle" icon={<BookmarkAddRegular />} onClick={() => onKeep(call)} data-testid="call-keep" />
              </Tooltip>
            </li>
          );
        })}
      </ul>
    </section>
  );
}

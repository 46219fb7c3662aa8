import { Badge, makeStyles, Spinner, Text, tokens } from "@fluentui/react-components";
import { useEffect, useRef } from "react";
import { useTranslation } from "react-i18next";
import { ErrorBar } from "../../components/ErrorBar";
import { JsonLines } from "../../components/JsonLines";
import { Panel } from "../../components/Panel";
import type { AppError, MethodCall } from "../../ipc";
import { formatBytes, formatDuration } from "../../lib/format";
import { parseText } from "../../lib/json-text";
import { useNow } from "../../lib/use-now";

const useStyles = makeStyles({
  panel: { padding: "12px 14px", gap: "10px" },
  head: { display: "flex", gap: "14px", alignItems: "center", flexWrap: "wrap" },
  quiet: { color: tokens.colorNeutralForeground3 },
  body: { maxHeight: "280px" },
  raw: { whiteSpace: "pre-wrap", overflowWrap: "anywhere", fontFamily: tokens.fontFamilyMonospace, margin: 0 },
});

type Props = { call: MethodCall | null; error: AppError | null; runningSince: number | null };

export function MethodResult({ call, error, runningSince }: Props) {
  const styles = useStyles();
  const { t } = useTranslation();
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    place.current?.scrollIntoView({ block: "nearest" });
  }, [call, error]);
  const failure = error ?? call?.error ?? null;
  const state =
    runningSince !== null ? "running" : failure ? "error" : call?.status !== null && call ? String(call.status) : "";
  if (runningSince === null && !failure && !call) return <div aria-live="polite" />;
  const good = call?.status !== null && call !== null && call.status >= 200 && call.status < 300;
  const body = call?.responseText ? parseText(call.responseText) : null;
  return (
    <div ref={place} aria-live="polite" data-testid="method-result" data-status={state}>
      {runningSince !== null ? (
        <Panel className={styles.panel}>
          <div className={styles.head}>
            <Spinner size="tiny" />
            <Text>{t("methods.running")}</Text>
            <Elapsed since={runningSince} />
          </div>
        </Panel>
      ) : failure ? (
        <ErrorBar error={failure} what={t("errors.invoke", { name: call?.methodName ?? "" })} />
      ) : call ? (
        <Panel className={styles.panel}>
          <div className={styles.head}>
            <Text weight="semibold">{call.methodName}</Text>
            <Badge appearance="tint" color={good ? "success" : "danger"} shape="rounded" size="large">
              {t("methods.status", { status: call.status })}
            </Badge>
            <Text size={200} className={styles.quiet} data-testid="method-duration" data-ms={call.durationMs ?? ""}>
              {call.durationMs === null ? null : formatDuration(call.durationMs)}
            </Text>
            {call.responseBytes === null ? null : (
              <Text size={200} className={styles.quiet}>
                {formatBytes(call.responseBytes)}
              </Text>
            )}
          </div>
          {body?.ok ? (
            <JsonLines className={styles.body} value={body.value} label={t("methods.answer")} />
          ) : call.responseText ? (
            <pre className={styles.raw}>{call.responseText}</pre>
          ) : (
            <Text className={styles.quiet}>{t("methods.noAnswer")}</Text>
          )}
        </Panel>
      ) : null}
    </div>
  );
}

function Elapsed({ since }: { since: number }) {
  const styles = useStyles();
  const now = useNow(100);
  // Its ticking is for the eye; a screen reader hears the answer.
  return (
    <Text size={200} className={styles.quiet} aria-hidden>
      {formatDuration(now - since)}
    </Text>
  );
}

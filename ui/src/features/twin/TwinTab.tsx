import { makeStyles, mergeClasses, Skeleton, SkeletonItem, Text, tokens } from "@fluentui/react-components";
import { useEffect, useRef } from "react";
import { useTranslation } from "react-i18next";
import { ErrorState } from "../../components/ErrorState";
import { useDelayed } from "../../lib/use-delayed";
import { useWidth } from "../../lib/use-size";
import { useTask } from "../../lib/use-task";
import { readTwin, unwatchTwin, useActiveHub, useStore, watchTwin } from "../../store/store";
import { ReportedView } from "./ReportedView";
import { SectionEditor } from "./SectionEditor";

const useStyles = makeStyles({
  root: { padding: "12px 20px 20px", display: "flex", flexDirection: "column", gap: "12px", flexGrow: 1 },
  grid: { display: "grid", gridTemplateColumns: "minmax(0, 1fr)", gap: "16px 20px", alignItems: "start" },
  beside: { gridTemplateColumns: "minmax(0, 1fr) minmax(0, 1fr)", gridTemplateRows: "auto 1fr" },
  reported: { gridColumn: "2", gridRow: "1 / span 2" },
  meta: { color: tokens.colorNeutralForeground3 },
});

export function TwinTab({ deviceId }: { deviceId: string }) {
  const styles = useStyles();
  const { t } = useTranslation();
  const root = useRef<HTMLDivElement>(null);
  const width = useWidth(root);
  const hubId = useActiveHub()?.hub.id ?? "";
  const readings = useStore((model) => model.readings);
  const watched = useStore((model) => model.twins[deviceId]);
  const { error, run } = useTask();
  const slow = useDelayed(!watched && !error);

  useEffect(() => {
    void run(() => watchTwin(deviceId));
    return () => unwatchTwin(deviceId);
  }, [deviceId, hubId, run]);

  // After a reset the events in between are lost.
  const seen = useRef(readings);
  useEffect(() => {
    if (seen.current === readings) return;
    seen.current = readings;
    void run(() => readTwin(deviceId));
  }, [readings, deviceId, run]);

  return (
    <div ref={root} className={styles.root}>
      {watched ? (
        <>
          <Text size={200} className={styles.meta}>
            {t("twin.meta", { version: watched.twin.version, etag: watched.twin.etag, authentication: watched.twin.authenticationType })}
          </Text>
          <div className={mergeClasses(styles.grid, width >= 600 && styles.beside)}>
            <SectionEditor key={`${hubId}/desired`} hubId={hubId} twin={watched.twin} section="desired" />
            <div className={width >= 600 ? styles.reported : undefined}>
              <ReportedView watched={watched} />
            </div>
            <SectionEditor key={`${hubId}/tags`} hubId={hubId} twin={watched.twin} section="tags" />
          </div>
        </>
      ) : error ? (
        <ErrorState error={error} what={t("errors.twin")} onRetry={() => void run(() => watchTwin(deviceId))} />
      ) : slow ? (
        <Skeleton aria-label={t("common.loading")}>
          <SkeletonItem size={128} />
        </Skeleton>
      ) : null}
    </div>
  );
}

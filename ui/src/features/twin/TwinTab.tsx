import { makeStyles, mergeClasses, Skeleton, SkeletonItem, Text, tokens } from "@fluentui/react-components";
import { useRef } from "react";
import { useTranslation } from "react-i18next";
import { ErrorState } from "../../components/ErrorState";
import type { AppError } from "../../ipc";
import { useDelayed } from "../../lib/use-delayed";
import { useWidth } from "../../lib/use-size";
import { useActiveHub, useStore } from "../../store/store";
import { DriftList } from "./DriftList";
import { ReportedView } from "./ReportedView";
import { SectionEditor } from "./SectionEditor";

const useStyles = makeStyles({
  root: { padding: "12px 20px 20px", display: "flex", flexDirection: "column", gap: "12px", flexGrow: 1 },
  grid: { display: "grid", gridTemplateColumns: "minmax(0, 1fr)", gap: "16px 20px", alignItems: "start" },
  beside: { gridTemplateColumns: "minmax(0, 1fr) minmax(0, 1fr)", gridTemplateRows: "auto 1fr" },
  device: { display: "flex", flexDirection: "column", gap: "16px", minWidth: 0 },
  right: { gridColumn: "2", gridRow: "1 / span 2" },
  meta: { color: tokens.colorNeutralForeground3 },
});

type Props = { deviceId: string; watch: { error: AppError | null; retry: () => void } };

export function TwinTab({ deviceId, watch: { error, retry } }: Props) {
  const styles = useStyles();
  const { t } = useTranslation();
  const root = useRef<HTMLDivElement>(null);
  const width = useWidth(root);
  const hubId = useActiveHub()?.hub.id ?? "";
  const watched = useStore((model) => model.twins[deviceId]);
  const slow = useDelayed(!watched && !error);

  return (
    <div ref={root} className={styles.root}>
      {watched ? (
        <>
          <Text size={200} className={styles.meta}>
            {t("twin.meta", { version: watched.twin.version, etag: watched.twin.etag, authentication: watched.twin.authenticationType })}
          </Text>
          <div className={mergeClasses(styles.grid, width >= 600 && styles.beside)}>
            <SectionEditor key={`${hubId}/desired`} hubId={hubId} twin={watched.twin} section="desired" />
            <div className={mergeClasses(styles.device, width >= 600 && styles.right)}>
              <ReportedView watched={watched} />
              <DriftList twin={watched.twin} />
            </div>
            <SectionEditor key={`${hubId}/tags`} hubId={hubId} twin={watched.twin} section="tags" />
          </div>
        </>
      ) : error ? (
        <ErrorState error={error} what={t("errors.twin")} onRetry={retry} />
      ) : slow ? (
        <Skeleton aria-label={t("common.loading")}>
          <SkeletonItem size={128} />
        </Skeleton>
      ) : null}
    </div>
  );
}

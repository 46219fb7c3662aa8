import { Button, makeStyles, Skeleton, SkeletonItem, Spinner } from "@fluentui/react-components";
import { HistoryRegular } from "@fluentui/react-icons/svg/history";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { ErrorBar } from "../../components/ErrorBar";
import { StatePanel } from "../../components/StatePanel";
import { type HistoryPage, ipc } from "../../ipc";
import { useDelayed } from "../../lib/use-delayed";
import { useTask } from "../../lib/use-task";
import { entryKey, withNewest, withOlder } from "../../store/history";
import { lookAtHistory, useStore } from "../../store/store";
import { HistoryItem } from "./HistoryItem";

const PAGE = 50;

const useStyles = makeStyles({
  root: { padding: "12px 20px 20px", display: "flex", flexDirection: "column", gap: "12px", flexGrow: 1 },
  list: { listStyleType: "none", margin: 0, padding: 0 },
  more: { alignSelf: "center" },
});

/** What was done to the device from here and what its twin did, together in time. */
export function HistoryTab({ deviceId }: { deviceId: string }) {
  const styles = useStyles();
  const { t } = useTranslation();
  const news = useStore((model) => model.history?.news ?? 0);
  const readings = useStore((model) => model.readings);
  const [page, setPage] = useState<HistoryPage | null>(null);
  const { error, run } = useTask();
  const older = useTask();
  const slow = useDelayed(page === null && !error);

  useEffect(() => {
    lookAtHistory(deviceId);
    return () => lookAtHistory(null);
  }, [deviceId]);

  useEffect(() => {
    let current = true;
    void run(async () => {
      const newest = await ipc.deviceHistory(deviceId, 0, PAGE);
      if (current) setPage((known) => withNewest(known, newest));
    });
    return () => {
      current = false;
    };
  }, [deviceId, news, readings, run]);

  const showMore = () =>
    void older.run(async () => {
      const next = await ipc.deviceHistory(deviceId, page?.entries.length ?? 0, PAGE);
      setPage((known) => (known ? withOlder(known, next) : next));
    });

  return (
    <div className={styles.root}>
      <ErrorBar error={error ?? older.error} what={t("errors.history")} />
      {page === null ? (
        slow ? (
          <Skeleton aria-label={t("common.loading")}>
            <SkeletonItem size={64} />
          </Skeleton>
        ) : null
      ) : page.entries.length === 0 ? (
        <StatePanel icon={<HistoryRegular />} title={t("history.empty")} text={t("history.emptyText")} />
      ) : (
        <ol className={styles.list} aria-label={t("device.history")} data-testid="history">
          {page.entries.map((entry) => (
            <HistoryItem key={entryKey(entry)} entry={entry} deviceId={deviceId} />
          ))}
        </ol>
      )}
      {page?.more ? (
        <Button className={styles.more} disabled={older.running} icon={older.running ? <Spinner size="tiny" /> : undefined} onClick={showMore} data-testid="history-more">
          {t("history.more")}
        </Button>
      ) : null}
    </div>
  );
}

import { Button, makeStyles, Skeleton, SkeletonItem } from "@fluentui/react-components";
import { DeveloperBoardRegular } from "@fluentui/react-icons/svg/developer-board";
import { SearchRegular } from "@fluentui/react-icons/svg/search";
import { useTranslation } from "react-i18next";
import { ErrorState } from "../../components/ErrorState";
import { StatePanel } from "../../components/StatePanel";
import { useDelayed } from "../../lib/use-delayed";
import { readDevices, useActiveHub, useStore } from "../../store/store";
import { openDialog, setFilter, useUi } from "../../store/ui";

const useStyles = makeStyles({ skeleton: { display: "flex", flexDirection: "column", gap: "14px", padding: "12px 20px" } });

/** Instead of the list: being read, failed, nothing there, or nothing that matches. */
export function NoDevices() {
  const styles = useStyles();
  const { t } = useTranslation();
  const active = useActiveHub();
  const { loading, error, ids, total } = useStore((model) => model.devices);
  const filter = useUi((ui) => ui.filter);
  const reading = ids.length === 0 && (loading || active?.status === "connecting" || total > 0) && !error;
  const slow = useDelayed(reading);
  if (reading) {
    return slow ? (
      <Skeleton className={styles.skeleton} aria-label={t("common.loading")}>
        {Array.from({ length: 10 }, (_, index) => (
          <SkeletonItem key={index} size={20} />
        ))}
      </Skeleton>
    ) : null;
  }
  if (ids.length === 0 && error) return <ErrorState error={error} what={t("errors.devices")} onRetry={() => void readDevices()} />;
  // The bar above says why the hub is not there; a list that was never read is not an empty one.
  if (active?.status === "failed" && ids.length === 0) return null;
  if (ids.length > 0) {
    return (
      <StatePanel icon={<SearchRegular />} title={t("devices.noMatch", { text: filter.trim() })} text={t("devices.noMatchText", { count: ids.length })}>
        <Button onClick={() => setFilter("")}>{t("devices.clearFilter")}</Button>
      </StatePanel>
    );
  }
  return (
    <StatePanel icon={<DeveloperBoardRegular />} title={t("devices.empty")} text={t("devices.emptyText")}>
      <Button appearance="primary" onClick={() => openDialog({ kind: "addSimulated" })}>
        {t("devices.addSimulated")}
      </Button>
      <Button onClick={() => openDialog({ kind: "createDevice" })}>{t("devices.create")}</Button>
    </StatePanel>
  );
}

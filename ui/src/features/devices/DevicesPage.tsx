import { makeStyles, mergeClasses, SearchBox, tokens } from "@fluentui/react-components";
import { useDeferredValue, useEffect } from "react";
import { useTranslation } from "react-i18next";
import { Outlet, useParams } from "react-router";
import { ErrorBar } from "../../components/ErrorBar";
import { PageHeader } from "../../components/PageHeader";
import { useMedia } from "../../lib/use-media";
import { readDevices, useActiveHub, useStore } from "../../store/store";
import { setFilter, useUi } from "../../store/ui";
import { ActionBar } from "./ActionBar";
import { DeviceGrid } from "./DeviceGrid";
import { NoDevices } from "./NoDevices";
import { NoticeBar } from "./NoticeBar";
import { SortAgain } from "./SortAgain";
import { useView } from "./use-view";

const useStyles = makeStyles({
  root: { display: "flex", flexGrow: 1, minHeight: 0, position: "relative" },
  list: { flexGrow: 1, minWidth: 0, display: "flex", flexDirection: "column", position: "relative" },
  filter: { width: "260px", maxWidth: "260px" },
  narrowFilter: { width: "200px" },
  bars: { padding: "0 20px", flexShrink: 0, display: "flex", flexDirection: "column", gap: "8px", "& > :last-child": { marginBottom: "8px" } },
  grid: { padding: "0 12px", display: "flex", flexDirection: "column", flexGrow: 1, minHeight: 0 },
  panel: {
    width: "max(480px, 58%)",
    flexShrink: 0,
    display: "flex",
    flexDirection: "column",
    minHeight: 0,
    borderLeft: `1px solid ${tokens.colorNeutralStroke2}`,
    backgroundColor: tokens.colorNeutralBackground1,
  },
  over: { position: "absolute", top: 0, right: 0, bottom: 0, left: 0, width: "auto", borderLeftStyle: "none", zIndex: 2 },
});

export function DevicesPage() {
  const styles = useStyles();
  const { t } = useTranslation();
  const { id } = useParams();
  const wide = useMedia("(min-width: 1100px)");
  const filter = useUi((ui) => ui.filter);
  const table = useStore((model) => model.devices);
  const active = useActiveHub();
  const { view, sort, moved, sortAgain, onSort } = useView(useDeferredValue(filter));
  const loaded = table.ids.length;

  // The list may have been left half read by a hub that was not ready yet.
  const status = active?.status;
  useEffect(() => {
    const { loading, ids, total, error } = useStore.getState().devices;
    if (status === "connected" && !loading && (error !== null || ids.length < total)) void readDevices();
  }, [status]);

  const filtered = filter.trim() !== "";
  return (
    <div className={styles.root}>
      <section className={styles.list} aria-label={t("nav.devices")}>
        <PageHeader
          title={t("nav.devices")}
          sub={
            <span aria-live="polite" data-testid="device-count" data-loaded={loaded} data-total={table.total}>
              {loaded === 0 && (table.loading || table.error)
                ? null
                : loaded === table.total
                ? t("devices.count", { count: table.total })
                : t("devices.countLoaded", { loaded, total: Math.max(loaded, table.total) })}
              {filtered ? ` · ${t("devices.countMatching", { count: view.length })}` : null}
            </span>
          }
        >
          <SearchBox
            className={mergeClasses(styles.filter, id !== undefined && styles.narrowFilter)}
            placeholder={t("devices.filter")}
            aria-label={t("devices.filter")}
            value={filter}
            data-shortcut="filter"
            data-testid="device-filter"
            onChange={(_, data) => setFilter(data.value)}
          />
        </PageHeader>
        <ActionBar shown={filtered ? view : null} />
        <div className={styles.bars}>
          <NoticeBar />
          {active?.error ? <ErrorBar error={active.error} what={t("errors.hub", { alias: active.hub.alias })} /> : null}
          {table.error && loaded > 0 ? <ErrorBar error={table.error} what={t("errors.devices")} onRetry={() => void readDevices()} /> : null}
        </div>
        {loaded === 0 || view.length === 0 ? (
          <NoDevices />
        ) : (
          <div className={styles.grid}>
            <DeviceGrid view={view} total={view.length} sort={sort} onSort={onSort} />
          </div>
        )}
        {moved > 0 ? <SortAgain count={moved} onClick={sortAgain} /> : null}
      </section>
      {id === undefined ? null : (
        <aside className={mergeClasses(styles.panel, !wide && styles.over)} aria-label={id}>
          <Outlet />
        </aside>
      )}
    </div>
  );
}

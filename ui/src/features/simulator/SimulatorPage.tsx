import { Button, makeStyles, Skeleton, SkeletonItem, tokens, Tooltip } from "@fluentui/react-components";
import { AddRegular } from "@fluentui/react-icons/svg/add";
import { ArrowImportRegular } from "@fluentui/react-icons/svg/arrow-import";
import { BeakerRegular } from "@fluentui/react-icons/svg/beaker";
import { CodeRegular } from "@fluentui/react-icons/svg/code";
import { PlugDisconnectedRegular } from "@fluentui/react-icons/svg/plug-disconnected";
import { useEffect } from "react";
import { useTranslation } from "react-i18next";
import { Navigate, Outlet, useNavigate, useParams } from "react-router";
import { ErrorBar } from "../../components/ErrorBar";
import { ErrorState } from "../../components/ErrorState";
import { PageHeader } from "../../components/PageHeader";
import { StatePanel } from "../../components/StatePanel";
import { ipc } from "../../ipc";
import { useDelayed } from "../../lib/use-delayed";
import { useTask } from "../../lib/use-task";
import { readFleets, useActiveHub, useStore } from "../../store/store";
import { openDialog } from "../../store/ui";
import { FleetList } from "./FleetList";

const useStyles = makeStyles({
  root: { display: "flex", flexDirection: "column", flexGrow: 1, minHeight: 0 },
  bars: { padding: "0 20px 8px" },
  body: { display: "flex", flexGrow: 1, minHeight: 0, borderTop: `1px solid ${tokens.colorNeutralStroke2}` },
  side: {
    width: "clamp(168px, 20%, 260px)",
    flexShrink: 0,
    display: "flex",
    flexDirection: "column",
    minHeight: 0,
    paddingTop: "8px",
    borderRight: `1px solid ${tokens.colorNeutralStroke2}`,
  },
  main: { flexGrow: 1, minWidth: 0, minHeight: 0, display: "flex", position: "relative" },
  skeleton: { padding: "12px 20px", display: "flex", flexDirection: "column", gap: "14px" },
});

export function SimulatorPage() {
  const styles = useStyles();
  const { t } = useTranslation();
  const navigate = useNavigate();
  const { fleet } = useParams();
  const active = useActiveHub();
  const list = useStore((model) => model.fleets.list);
  const { error, run } = useTask();
  const importing = useTask();
  const id = active?.hub.id;
  const slow = useDelayed(list === null && error === null && id !== undefined);
  useEffect(() => {
    if (id !== undefined) void run(readFleets);
  }, [id, run]);

  const bringIn = () =>
    void importing.run(async () => {
      const draft = await ipc.importFleet();
      if (draft) openDialog({ kind: "fleetFile", draft });
    });
  const first = list?.[0];
  return (
    <div className={styles.root}>
      <PageHeader title={t("nav.simulator")} sub={active ? t("simulator.sub", { alias: active.hub.alias }) : t("simulator.subNone")}>
        {active ? (
          <>
            <Button appearance="primary" icon={<AddRegular />} onClick={() => openDialog({ kind: "addSimulated" })} data-testid="new-fleet">
              {t("simulator.new")}
            </Button>
            <Tooltip content={t("simulator.importHint")} relationship="description">
              <Button icon={<ArrowImportRegular />} disabled={importing.running} onClick={bringIn} data-testid="import-fleet">
                {t("simulator.import")}
              </Button>
            </Tooltip>
          </>
        ) : null}
        <Button icon={<CodeRegular />} onClick={() => void navigate("/simulator/models")} data-testid="models">
          {t("simulator.models")}
        </Button>
      </PageHeader>
      {importing.error || (error && list !== null) ? (
        <div className={styles.bars}>
          <ErrorBar error={importing.error} what={t("errors.importFleet")} onDismiss={() => importing.setError(null)} />
          {list === null ? null : <ErrorBar error={error} what={t("errors.fleets")} onRetry={() => void run(readFleets)} />}
        </div>
      ) : null}
      {active === null ? (
        <StatePanel icon={<PlugDisconnectedRegular />} title={t("status.noHub")} text={t("simulator.noHubText")}>
          <Button appearance="primary" onClick={() => void navigate("/welcome")}>
            {t("updates.toHubs")}
          </Button>
        </StatePanel>
      ) : list === null ? (
        error ? (
          <ErrorState error={error} what={t("errors.fleets")} onRetry={() => void run(readFleets)} />
        ) : slow ? (
          <Skeleton className={styles.skeleton} aria-label={t("common.loading")}>
            <SkeletonItem size={40} />
            <SkeletonItem size={40} />
          </Skeleton>
        ) : null
      ) : first === undefined ? (
        <StatePanel icon={<BeakerRegular />} title={t("simulator.empty")} text={t("simulator.emptyText")}>
          <Button appearance="primary" onClick={() => openDialog({ kind: "addSimulated" })}>
            {t("simulator.new")}
          </Button>
          <Button onClick={bringIn}>{t("simulator.import")}</Button>
        </StatePanel>
      ) : (
        <div className={styles.body}>
          <nav className={styles.side} aria-label={t("simulator.fleets")}>
            <FleetList fleets={list} />
          </nav>
          <section className={styles.main}>{fleet === undefined ? <Navigate to={`/simulator/fleets/${first.id}`} replace /> : <Outlet />}</section>
        </div>
      )}
    </div>
  );
}

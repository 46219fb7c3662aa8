import { makeStyles, Spinner, tokens } from "@fluentui/react-components";
import { useEffect, useRef } from "react";
import { useTranslation } from "react-i18next";
import { Outlet, useLocation, useNavigate } from "react-router";
import { ErrorState } from "../components/ErrorState";
import { useDelayed } from "../lib/use-delayed";
import { start, useActiveHub, useStore } from "../store/store";
import { forgetSelection } from "../store/ui";
import { DialogHost } from "./DialogHost";
import { ErrorBoundary } from "./ErrorBoundary";
import { NavRail } from "./NavRail";
import { StatusBar } from "./StatusBar";
import { TitleBar } from "./TitleBar";
import { useShortcuts } from "./use-shortcuts";

const useStyles = makeStyles({
  root: {
    height: "100%",
    boxSizing: "border-box",
    display: "grid",
    gridTemplateRows: "44px minmax(0, 1fr) 26px",
    backgroundColor: tokens.colorNeutralBackground3,
  },
  middle: { display: "flex", minHeight: 0, minWidth: 0 },
  work: {
    flexGrow: 1,
    minWidth: 0,
    display: "flex",
    flexDirection: "column",
    overflow: "hidden",
    backgroundColor: tokens.colorNeutralBackground1,
    borderTopLeftRadius: tokens.borderRadiusLarge,
    border: `1px solid ${tokens.colorNeutralStroke2}`,
    borderRightStyle: "none",
  },
  centre: { display: "flex", alignItems: "center", justifyContent: "center", flexGrow: 1 },
});

export function Shell() {
  const styles = useStyles();
  const { t } = useTranslation();
  const ready = useStore((model) => model.app !== null);
  const appError = useStore((model) => model.appError);
  const active = useActiveHub();
  const slow = useDelayed(!ready && !appError);
  const location = useLocation();
  useShortcuts();
  useFollowHub();

  const edge = active?.hub.production ? active.hub.colour : null;
  return (
    <div className={styles.root} style={edge ? { border: `3px solid ${edge}` } : undefined}>
      <TitleBar />
      <div className={styles.middle}>
        <NavRail />
        <main className={styles.work}>
          {appError ? (
            <ErrorState error={appError} what={t("errors.start")} onRetry={() => void start()} />
          ) : ready ? (
            <ErrorBoundary key={location.pathname.split("/")[1]}>
              <Outlet />
            </ErrorBoundary>
          ) : (
            <div className={styles.centre}>{slow ? <Spinner label={t("common.loading")} /> : null}</div>
          )}
        </main>
      </div>
      <StatusBar />
      <DialogHost />
    </div>
  );
}

/** A hub that opens shows its devices; one that closes leads back to the choice of hubs. */
function useFollowHub() {
  const navigate = useNavigate();
  const ready = useStore((model) => model.app !== null);
  const id = useActiveHub()?.hub.id ?? null;
  const { pathname } = useLocation();
  const needsHub = pathname.startsWith("/devices");
  const before = useRef<string | null | undefined>(undefined);
  useEffect(() => {
    if (!ready || before.current === id) return;
    const first = before.current === undefined;
    before.current = id;
    forgetSelection();
    // What is open at the start stays where the address says.
    if (!first && id !== null) void navigate("/devices");
  }, [ready, id, navigate]);
  useEffect(() => {
    if (ready && id === null && needsHub) void navigate("/welcome", { replace: true });
  }, [ready, id, needsHub, navigate]);
}

import { Link, makeStyles, tokens } from "@fluentui/react-components";
import { useTranslation } from "react-i18next";
import { useNavigate } from "react-router";
import { formatAbsolute, formatAgo } from "../lib/format";
import { useNow } from "../lib/use-now";
import { underWay } from "../store/jobs";
import { useActiveHub, useStore } from "../store/store";

const useStyles = makeStyles({
  root: {
    display: "flex",
    alignItems: "center",
    gap: "16px",
    padding: "0 12px",
    fontSize: tokens.fontSizeBase200,
    fontFamily: tokens.fontFamilyBase,
    color: tokens.colorNeutralForeground2,
    whiteSpace: "nowrap",
    overflow: "hidden",
    borderTop: `1px solid ${tokens.colorNeutralStroke2}`,
  },
  host: { overflow: "hidden", textOverflow: "ellipsis" },
  jobs: { fontSize: "inherit" },
  end: { marginLeft: "auto" },
});

export function StatusBar() {
  const styles = useStyles();
  const { t } = useTranslation();
  const active = useActiveHub();
  const version = useStore((model) => model.app?.version);
  const table = useStore((model) => model.devices);
  const now = useNow(1000);
  const navigate = useNavigate();
  const jobs = useStore((model) => underWay(model.jobs).length);
  if (!active) {
    return (
      <footer className={styles.root}>
        {t("status.noHub")}
        <span className={styles.end}>{version ? t("status.version", { version }) : null}</span>
      </footer>
    );
  }
  // Once every row is here the list itself knows best; until then the backend's count does.
  const complete = !table.loading && !table.error && table.ids.length === table.total;
  const connected = complete ? table.connected : active.connected;
  const total = complete ? table.total : active.devices;
  return (
    <footer className={styles.root}>
      <span className={styles.host}>{active.hub.hostName}</span>
      <span>{t(`status.${active.status}`)}</span>
      <span data-testid="connected-count" data-connected={connected} data-total={total}>
        {t("status.devices", { connected, total })}
      </span>
      {jobs > 0 ? (
        <Link className={styles.jobs} onClick={() => void navigate("/jobs")} data-testid="running-jobs" data-count={jobs}>
          {t("jobs.running", { count: jobs })}
        </Link>
      ) : null}
      {active.hub.secretPlace === "session" ? (
        <span title={t("status.sessionKeyTitle")} data-testid="session-key">
          {t("status.sessionKey")}
        </span>
      ) : null}
      <span className={styles.end} title={t(`status.watchTitle.${active.watch}`)}>
        {t(`status.watch.${active.watch}`)}
      </span>
      {/* What arrives as it happens has no age. */}
      {active.watch === "events" && active.status === "connected" ? null : (
        <span title={active.freshAtMs > 0 ? formatAbsolute(active.freshAtMs) : undefined}>
          {active.freshAtMs > 0 ? t("status.fresh", { ago: formatAgo(active.freshAtMs, now) }) : t("status.notYet")}
        </span>
      )}
    </footer>
  );
}

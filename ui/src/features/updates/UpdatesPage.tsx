import { Button, makeStyles, mergeClasses, ProgressBar, Skeleton, SkeletonItem, Text, tokens } from "@fluentui/react-components";
import { ArrowCircleUpRegular } from "@fluentui/react-icons/svg/arrow-circle-up";
import { useEffect, useMemo } from "react";
import { useTranslation } from "react-i18next";
import { Link, useNavigate } from "react-router";
import { ErrorState } from "../../components/ErrorState";
import { PageHeader } from "../../components/PageHeader";
import { RelativeTime } from "../../components/RelativeTime";
import { StatePanel } from "../../components/StatePanel";
import { useDelayed } from "../../lib/use-delayed";
import { useTask } from "../../lib/use-task";
import { readUpdates, useActiveHub, useStore } from "../../store/store";
import { isOver } from "../../store/updates";
import { UpdateStateBadge } from "./UpdateStateBadge";

const useStyles = makeStyles({
  root: { display: "flex", flexDirection: "column", flexGrow: 1, minHeight: 0, overflow: "auto" },
  list: { listStyleType: "none", margin: 0, padding: "0 20px 20px" },
  item: {
    display: "grid",
    gridTemplateColumns: "minmax(0, 1fr) auto",
    gap: "4px 16px",
    alignItems: "center",
    padding: "12px",
    borderTop: `1px solid ${tokens.colorNeutralStroke2}`,
    color: "inherit",
    textDecorationLine: "none",
    ":hover": { backgroundColor: tokens.colorNeutralBackground3 },
    ":focus-visible": { outline: `2px solid ${tokens.colorStrokeFocus2}`, outlineOffset: "-2px" },
  },
  quiet: { color: tokens.colorNeutralForeground3 },
  end: { justifySelf: "end" },
  bar: { gridColumn: "1 / -1" },
});

export function UpdatesPage() {
  const styles = useStyles();
  const { t } = useTranslation();
  const navigate = useNavigate();
  const hub = useActiveHub();
  const byId = useStore((model) => model.updates.byId);
  const list = useMemo(() => Object.values(byId).sort((a, b) => b.id - a.id), [byId]);
  const { error, run, running } = useTask();
  const slow = useDelayed(running && list.length === 0);
  useEffect(() => {
    void run(readUpdates);
  }, [run]);

  return (
    <div className={styles.root}>
      <PageHeader title={t("nav.updates")} sub={t("updates.sub")} />
      {list.length > 0 ? (
        <ul className={styles.list}>
          {list.map((update) => (
            <li key={update.id}>
              <Link to={`/updates/${update.id}`} className={styles.item} data-testid="update-row">
                <Text weight="semibold">{update.packageName}</Text>
                <span className={styles.end}>
                  <UpdateStateBadge state={update.state} />
                </span>
                <Text size={200}>{update.summary}</Text>
                <Text size={200} className={mergeClasses(styles.quiet, styles.end)}>
                  <RelativeTime time={update.startedAt} />
                </Text>
                {isOver(update) ? null : (
                  <ProgressBar className={styles.bar} value={update.total === 0 ? 0 : (update.succeeded + update.failed) / update.total} aria-label={t("updates.progress")} />
                )}
              </Link>
            </li>
          ))}
        </ul>
      ) : error ? (
        <ErrorState error={error} what={t("errors.updates")} onRetry={() => void run(readUpdates)} />
      ) : running ? (
        slow ? (
          <Skeleton aria-label={t("common.loading")}>
            <SkeletonItem size={64} />
          </Skeleton>
        ) : null
      ) : (
        <StatePanel icon={<ArrowCircleUpRegular />} title={t("updates.empty")} text={t("updates.emptyText")}>
          <Button appearance="primary" onClick={() => void navigate(hub ? "/devices" : "/welcome")}>
            {hub ? t("updates.toDevices") : t("updates.toHubs")}
          </Button>
        </StatePanel>
      )}
    </div>
  );
}

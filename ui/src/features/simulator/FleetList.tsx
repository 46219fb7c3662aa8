import { makeStyles, mergeClasses, ProgressBar, Text, tokens } from "@fluentui/react-components";
import { useTranslation } from "react-i18next";
import { NavLink } from "react-router";
import type { Fleet } from "../../ipc";
import { countOf } from "../../store/fleets";

const useStyles = makeStyles({
  list: { listStyleType: "none", margin: 0, padding: "0 8px 12px", overflowY: "auto", minHeight: 0 },
  item: {
    display: "flex",
    flexDirection: "column",
    gap: "2px",
    padding: "8px 12px",
    borderRadius: tokens.borderRadiusMedium,
    color: "inherit",
    textDecorationLine: "none",
    position: "relative",
    ":hover": { backgroundColor: tokens.colorSubtleBackgroundHover },
    ":focus-visible": { outline: `2px solid ${tokens.colorStrokeFocus2}`, outlineOffset: "-2px" },
  },
  here: {
    backgroundColor: tokens.colorSubtleBackgroundSelected,
    boxShadow: `inset 3px 0 0 ${tokens.colorBrandStroke1}`,
  },
  name: { overflow: "hidden", textOverflow: "ellipsis", whiteSpace: "nowrap" },
  quiet: { color: tokens.colorNeutralForeground2 },
});

export function FleetList({ fleets }: { fleets: Fleet[] }) {
  const styles = useStyles();
  const { t } = useTranslation();
  return (
    <ul className={styles.list} aria-label={t("simulator.fleets")} data-testid="fleet-list">
      {fleets.map((fleet) => {
        const task = fleet.task?.running ? fleet.task : null;
        return (
          <li key={fleet.id}>
            <NavLink
              to={`/simulator/fleets/${fleet.id}`}
              className={({ isActive }) => mergeClasses(styles.item, isActive && styles.here)}
              data-testid="fleet"
              data-fleet={fleet.id}
            >
              <Text weight="semibold" className={styles.name} title={fleet.name}>
                {fleet.name}
              </Text>
              <Text size={200} className={styles.quiet}>
                {fleet.problem === null
                  ? t("simulator.line", { connected: countOf(fleet, "connected"), total: fleet.devices })
                  : t("simulator.broken")}
              </Text>
              {task ? <ProgressBar value={task.total === 0 ? 0 : (task.done + task.failed) / task.total} aria-label={t(`simulator.work.${task.work}`)} /> : null}
            </NavLink>
          </li>
        );
      })}
    </ul>
  );
}

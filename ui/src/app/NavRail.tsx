import { CounterBadge, makeStyles, mergeClasses, tokens, Tooltip } from "@fluentui/react-components";
import { ArrowCircleUpRegular } from "@fluentui/react-icons/svg/arrow-circle-up";
import { BeakerRegular } from "@fluentui/react-icons/svg/beaker";
import { DesktopRegular } from "@fluentui/react-icons/svg/desktop";
import { DeveloperBoardRegular } from "@fluentui/react-icons/svg/developer-board";
import { TaskListLtrRegular } from "@fluentui/react-icons/svg/task-list-ltr";
import { useTranslation } from "react-i18next";
import { NavLink } from "react-router";
import { useMedia } from "../lib/use-media";
import { underWay } from "../store/jobs";
import { useStore } from "../store/store";
import { useUi } from "../store/ui";

const useStyles = makeStyles({
  root: { width: "176px", flexShrink: 0, padding: "4px 8px", display: "flex", flexDirection: "column", gap: "2px", boxSizing: "border-box" },
  slim: { width: "52px" },
  link: {
    display: "flex",
    alignItems: "center",
    gap: "10px",
    height: "34px",
    padding: "0 10px",
    borderRadius: tokens.borderRadiusMedium,
    color: tokens.colorNeutralForeground2,
    textDecorationLine: "none",
    fontSize: tokens.fontSizeBase300,
    fontFamily: tokens.fontFamilyBase,
    position: "relative",
    ":hover": { backgroundColor: tokens.colorSubtleBackgroundHover, color: tokens.colorNeutralForeground1Hover },
    ":focus-visible": { outline: `2px solid ${tokens.colorStrokeFocus2}` },
    "& svg": { fontSize: "18px", flexShrink: 0 },
  },
  count: { marginLeft: "auto" },
  overIcon: { position: "absolute", top: "1px", right: "0" },
  here: {
    color: tokens.colorNeutralForeground1Selected,
    fontWeight: tokens.fontWeightSemibold,
    backgroundColor: tokens.colorSubtleBackgroundSelected,
    "::before": {
      content: "''",
      position: "absolute",
      left: 0,
      top: "8px",
      bottom: "8px",
      width: "3px",
      borderRadius: "2px",
      backgroundColor: tokens.colorBrandStroke1,
    },
  },
});

const items = [
  { to: "/devices", key: "devices", icon: <DeveloperBoardRegular /> },
  { to: "/simulator", key: "simulator", icon: <BeakerRegular /> },
  { to: "/jobs", key: "jobs", icon: <TaskListLtrRegular /> },
  { to: "/updates", key: "updates", icon: <ArrowCircleUpRegular /> },
  { to: "/local-hub", key: "localHub", icon: <DesktopRegular /> },
] as const;

export function NavRail() {
  const styles = useStyles();
  const { t } = useTranslation();
  const wide = useMedia("(min-width: 1000px)");
  const open = useUi((ui) => ui.navOpen) && wide;
  const jobs = useStore((model) => underWay(model.jobs).length);
  return (
    <nav className={mergeClasses(styles.root, !open && styles.slim)} aria-label={t("frame.navigation")}>
      {items.map((item) => {
        const badge =
          item.key === "jobs" && jobs > 0 ? (
            <CounterBadge count={jobs} size="small" className={open ? styles.count : styles.overIcon} aria-label={t("jobs.running", { count: jobs })} />
          ) : null;
        const link = (
          <NavLink key={item.to} to={item.to} className={({ isActive }) => mergeClasses(styles.link, isActive && styles.here)} data-testid={`nav-${item.key}`}>
            {item.icon}
            {open ? t(`nav.${item.key}`) : null}
            {badge}
          </NavLink>
        );
        return open ? (
          link
        ) : (
          <Tooltip key={item.to} content={t(`nav.${item.key}`)} relationship="label" positioning="after">
            {link}
          </Tooltip>
        );
      })}
    </nav>
  );
}

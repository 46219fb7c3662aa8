import { Button, makeStyles, Text, tokens, Tooltip } from "@fluentui/react-components";
import { KeyboardRegular } from "@fluentui/react-icons/svg/keyboard";
import { NavigationRegular } from "@fluentui/react-icons/svg/navigation";
import { SearchRegular } from "@fluentui/react-icons/svg/search";
import { useTranslation } from "react-i18next";
import { useNavigate } from "react-router";
import { LocalHubDot } from "../components/LocalHubDot";
import { Logo } from "../components/Logo";
import { useStore } from "../store/store";
import { openDialog, toggleNav, useUi } from "../store/ui";
import { HubSwitcher } from "./HubSwitcher";
import { ThemeMenu } from "./ThemeMenu";

const useStyles = makeStyles({
  root: { display: "flex", alignItems: "center", gap: "4px", padding: "0 8px", minWidth: 0 },
  brand: { display: "flex", alignItems: "center", gap: "8px", padding: "0 8px 0 4px" },
  space: { flexGrow: 1 },
  search: {
    minWidth: "180px",
    justifyContent: "flex-start",
    color: tokens.colorNeutralForeground3,
    fontWeight: tokens.fontWeightRegular,
    backgroundColor: tokens.colorNeutralBackground1,
  },
  key: { marginLeft: "auto", paddingLeft: "16px", color: tokens.colorNeutralForeground3 },
});

export function TitleBar() {
  const styles = useStyles();
  const { t } = useTranslation();
  const navigate = useNavigate();
  const navOpen = useUi((ui) => ui.navOpen);
  const local = useStore((model) => model.app?.localHub.status ?? "stopped");
  return (
    <header className={styles.root}>
      <Tooltip content={t("frame.navigation")} relationship="label">
        <Button appearance="subtle" icon={<NavigationRegular />} aria-expanded={navOpen} onClick={toggleNav} />
      </Tooltip>
      <span className={styles.brand}>
        <Logo size={20} />
        <Text weight="semibold">{t("app.name")}</Text>
      </span>
      <HubSwitcher />
      <Button appearance="subtle" size="small" onClick={() => void navigate("/local-hub")}>
        <LocalHubDot status={local} />
      </Button>
      <span className={styles.space} />
      <Button size="small" className={styles.search} icon={<SearchRegular />} onClick={() => openDialog({ kind: "palette" })} data-testid="palette-button">
        {t("frame.search")}
        <Text size={100} className={styles.key}>
          {t("keys.palette")}
        </Text>
      </Button>
      <Tooltip content={t("shortcuts.title")} relationship="label">
        <Button appearance="subtle" icon={<KeyboardRegular />} onClick={() => openDialog({ kind: "shortcuts" })} />
      </Tooltip>
      <ThemeMenu />
    </header>
  );
}

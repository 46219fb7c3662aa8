import { makeStyles, MessageBar, MessageBarBody, MessageBarTitle, Text, Title2, tokens } from "@fluentui/react-components";
import { useTranslation } from "react-i18next";
import { Logo } from "../../components/Logo";
import { useStore } from "../../store/store";
import { Abilities } from "./Abilities";
import { ConnectCard } from "./ConnectCard";
import { LocalHubCard } from "./LocalHubCard";
import { SavedHubs } from "./SavedHubs";

const useStyles = makeStyles({
  root: { overflow: "auto", flexGrow: 1, padding: "28px 24px 32px" },
  column: { maxWidth: "940px", margin: "0 auto", display: "flex", flexDirection: "column", gap: "20px" },
  head: { display: "flex", alignItems: "center", gap: "16px" },
  titles: { display: "flex", flexDirection: "column", gap: "2px" },
  sub: { color: tokens.colorNeutralForeground2 },
  cards: { display: "grid", gridTemplateColumns: "minmax(260px, 2fr) minmax(320px, 3fr)", gap: "16px", alignItems: "start", "& > section": { boxSizing: "border-box", minHeight: "258px" } },
});

export function WelcomePage() {
  const styles = useStyles();
  const { t } = useTranslation();
  const keychain = useStore((model) => model.app?.keychain);
  return (
    <div className={styles.root}>
      <div className={styles.column}>
        <header className={styles.head}>
          <Logo size={52} />
          <div className={styles.titles}>
            <Title2 as="h1">{t("welcome.title")}</Title2>
            <Text className={styles.sub}>{t("welcome.sub")}</Text>
          </div>
        </header>
        {keychain && !keychain.available ? (
          <MessageBar intent="info" layout="multiline" data-testid="keychain-warning">
            <MessageBarBody>
              <MessageBarTitle>{t("welcome.keychain")}</MessageBarTitle>
              {keychain.message ?? t("welcome.keychainText")}
            </MessageBarBody>
          </MessageBar>
        ) : null}
        <div className={styles.cards}>
          <LocalHubCard />
          <ConnectCard />
        </div>
        <SavedHubs />
        <Abilities />
      </div>
    </div>
  );
}

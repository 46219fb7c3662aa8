import { makeStyles, Subtitle2, Text, tokens } from "@fluentui/react-components";
import { ArrowCircleUpRegular } from "@fluentui/react-icons/svg/arrow-circle-up";
import { BeakerRegular } from "@fluentui/react-icons/svg/beaker";
import { BracesRegular } from "@fluentui/react-icons/svg/braces";
import { useTranslation } from "react-i18next";
import { useStore } from "../../store/store";

const useStyles = makeStyles({
  root: { display: "flex", flexDirection: "column", gap: "10px" },
  list: { listStyleType: "none", margin: 0, padding: 0, display: "grid", gridTemplateColumns: "repeat(3, minmax(0, 1fr))", gap: "16px" },
  item: { display: "grid", gridTemplateColumns: "auto minmax(0, 1fr)", columnGap: "12px", alignItems: "start" },
  icon: {
    display: "inline-flex",
    padding: "8px",
    fontSize: "20px",
    borderRadius: tokens.borderRadiusLarge,
    color: tokens.colorBrandForeground1,
    backgroundColor: tokens.colorBrandBackground2,
    gridRow: "1 / span 2",
  },
  text: { color: tokens.colorNeutralForeground2 },
});

const abilities = [
  { key: "simulate", icon: <BeakerRegular /> },
  { key: "twins", icon: <BracesRegular /> },
  { key: "update", icon: <ArrowCircleUpRegular /> },
] as const;

/** For someone who has no hub yet; whoever has one sees it in this place. */
export function Abilities() {
  const styles = useStyles();
  const { t } = useTranslation();
  const has = useStore((model) => (model.app?.hubs.length ?? 0) > 0);
  if (has) return null;
  return (
    <section className={styles.root} aria-labelledby="abilities">
      <Subtitle2 as="h2" id="abilities">
        {t("welcome.can.title")}
      </Subtitle2>
      <ul className={styles.list}>
        {abilities.map(({ key, icon }) => (
          <li key={key} className={styles.item}>
            <span className={styles.icon} aria-hidden>
              {icon}
            </span>
            <Text weight="semibold">{t(`welcome.can.${key}`)}</Text>
            <Text size={200} className={styles.text}>
              {t(`welcome.can.${key}Text`)}
            </Text>
          </li>
        ))}
      </ul>
    </section>
  );
}

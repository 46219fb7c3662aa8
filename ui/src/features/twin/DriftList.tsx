import { makeStyles, Subtitle2, Text, tokens } from "@fluentui/react-components";
import { CheckmarkRegular } from "@fluentui/react-icons/svg/checkmark";
import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import { JsonValueText } from "../../components/JsonValueText";
import type { TwinView } from "../../ipc";
import { type Drift, drift } from "./drift";

const SHOWN = 50;

const useStyles = makeStyles({
  root: { display: "flex", flexDirection: "column", gap: "8px", minWidth: 0 },
  calm: { display: "flex", alignItems: "center", gap: "6px", color: tokens.colorNeutralForeground3 },
  list: { listStyleType: "none", margin: 0, padding: 0 },
  item: { padding: "6px 0", borderBottom: `1px solid ${tokens.colorNeutralStroke3}`, display: "flex", flexDirection: "column", gap: "2px" },
  line: { display: "flex", flexWrap: "wrap", gap: "2px 10px", alignItems: "baseline" },
  path: { fontFamily: tokens.fontFamilyMonospace, fontSize: tokens.fontSizeBase200, fontWeight: tokens.fontWeightSemibold, overflowWrap: "anywhere" },
  quiet: { color: tokens.colorNeutralForeground3 },
});

/** Where the device does not do, or does not say, what is desired. */
export function DriftList({ twin }: { twin: TwinView }) {
  const styles = useStyles();
  const { t } = useTranslation();
  const found = useMemo(() => drift(twin.desired, twin.reported, twin.desiredMetadata), [twin.desired, twin.reported, twin.desiredMetadata]);
  // Much that is desired is only acted on; that it is not reported is said in one line.
  const loud = found.filter(({ why }) => why !== "missing");
  const missing = found.filter(({ why }) => why === "missing");
  if (typeof twin.desired !== "object" || twin.desired === null || Object.keys(twin.desired).length === 0) return null;
  return (
    <section className={styles.root} aria-label={t("drift.title")} data-testid="twin-drift" data-count={found.length}>
      <Subtitle2 as="h3">{t("drift.title")}</Subtitle2>
      {found.length === 0 ? (
        <Text className={styles.calm}>
          <CheckmarkRegular aria-hidden /> {t("drift.none")}
        </Text>
      ) : (
        <ul className={styles.list} data-testid="drift-list">
          {loud.slice(0, SHOWN).map((one) => (
            <Item key={one.path} drift={one} />
          ))}
        </ul>
      )}
      {loud.length > SHOWN ? <Text className={styles.quiet}>{t("devices.andMore", { count: loud.length - SHOWN })}</Text> : null}
      {missing.length > 0 ? (
        <Text size={200} className={styles.quiet}>
          {t("drift.missing")}{" "}
          {missing.slice(0, SHOWN).map(({ path }, index) => (
            <span key={path}>
              {index > 0 ? ", " : null}
              <span className={styles.path}>{path}</span>
            </span>
          ))}
          {missing.length > SHOWN ? ` ${t("devices.andMore", { count: missing.length - SHOWN })}` : null}
        </Text>
      ) : null}
    </section>
  );
}

function Item({ drift: { path, desired, reported, why, code, description } }: { drift: Drift }) {
  const styles = useStyles();
  const { t } = useTranslation();
  return (
    <li className={styles.item}>
      <span className={styles.line}>
        <span className={styles.path}>{path}</span>
        <Text size={200}>{t(`drift.why.${why}`, { code })}</Text>
      </span>
      <span className={styles.line}>
        <Text size={200} className={styles.quiet}>
          {t("drift.desired")} <JsonValueText value={desired} />
        </Text>
        <Text size={200} className={styles.quiet}>
          {t("drift.reported")} <JsonValueText value={reported} />
        </Text>
      </span>
      {description ? <Text size={200}>{description}</Text> : null}
    </li>
  );
}

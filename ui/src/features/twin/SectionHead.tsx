import { makeStyles, Subtitle2, Text, tokens } from "@fluentui/react-components";
import { SizeMeter } from "../../components/SizeMeter";
import { useTranslation } from "react-i18next";

const useStyles = makeStyles({
  root: { display: "flex", alignItems: "baseline", gap: "8px", flexWrap: "wrap" },
  meta: { color: tokens.colorNeutralForeground3, flexGrow: 1 },
});

type Props = { title: string; version?: number; size: number; limit: number };

export function SectionHead({ title, version, size, limit }: Props) {
  const styles = useStyles();
  const { t } = useTranslation();
  return (
    <div className={styles.root}>
      <Subtitle2 as="h3">{title}</Subtitle2>
      <Text size={200} className={styles.meta}>
        {version === undefined ? null : t("twin.version", { version })}
      </Text>
      <SizeMeter size={size} limit={limit} />
    </div>
  );
}

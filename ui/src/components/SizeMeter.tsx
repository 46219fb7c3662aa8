import { makeStyles, mergeClasses, ProgressBar, Text, tokens } from "@fluentui/react-components";
import { useTranslation } from "react-i18next";
import { formatBytes } from "../lib/format";
import { NEARLY } from "../lib/twin-size";

const useStyles = makeStyles({
  root: { display: "flex", alignItems: "center", gap: "8px", minWidth: 0 },
  bar: { width: "40px", flexShrink: 0 },
  text: { color: tokens.colorNeutralForeground3, whiteSpace: "nowrap" },
  loud: { color: tokens.colorNeutralForeground1, fontWeight: tokens.fontWeightSemibold },
});

/** How full a section is; the text carries it, a bar draws the eye once it matters. */
export function SizeMeter({ size, limit }: { size: number; limit: number }) {
  const styles = useStyles();
  const { t } = useTranslation();
  const part = size / limit;
  return (
    <span className={styles.root}>
      {part > 0.5 ? (
        <ProgressBar
          className={styles.bar}
          value={Math.min(1, part)}
          color={part > 1 ? "error" : part >= NEARLY ? "warning" : "brand"}
          thickness="medium"
          aria-hidden
        />
      ) : null}
      <Text size={200} className={mergeClasses(styles.text, part >= NEARLY && styles.loud)} role={part >= NEARLY ? "status" : undefined}>
        {t(part > 1 ? "common.sizeOver" : part >= NEARLY ? "common.sizeNearly" : "common.sizeOf", { size: formatBytes(size), limit: formatBytes(limit) })}
      </Text>
    </span>
  );
}

import { makeStyles, Text, Title3, tokens } from "@fluentui/react-components";
import type { ReactNode } from "react";

const useStyles = makeStyles({
  root: { display: "flex", alignItems: "flex-start", gap: "12px", padding: "16px 20px 12px", flexWrap: "wrap" },
  titles: { display: "flex", flexDirection: "column", gap: "2px", flexGrow: 1, flexBasis: "140px", minWidth: 0 },
  sub: { color: tokens.colorNeutralForeground2, overflowWrap: "anywhere" },
  actions: { display: "flex", gap: "8px", alignItems: "center", flexWrap: "wrap" },
});

export function PageHeader({ title, sub, children }: { title: ReactNode; sub?: ReactNode; children?: ReactNode }) {
  const styles = useStyles();
  return (
    <header className={styles.root}>
      <div className={styles.titles}>
        <Title3 as="h1">{title}</Title3>
        {sub ? (
          <Text size={200} className={styles.sub}>
            {sub}
          </Text>
        ) : null}
      </div>
      {children ? <div className={styles.actions}>{children}</div> : null}
    </header>
  );
}

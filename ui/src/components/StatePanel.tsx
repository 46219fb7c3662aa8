import { makeStyles, Subtitle2, Text, tokens } from "@fluentui/react-components";
import type { ReactNode } from "react";

const useStyles = makeStyles({
  root: {
    display: "flex",
    flexDirection: "column",
    alignItems: "center",
    justifyContent: "center",
    textAlign: "center",
    gap: "8px",
    padding: "48px 24px",
    flexGrow: 1,
  },
  icon: { fontSize: "40px", lineHeight: "1", color: tokens.colorNeutralForeground3 },
  text: { color: tokens.colorNeutralForeground2, maxWidth: "46ch", textAlign: "center" },
  actions: { display: "flex", gap: "8px", marginTop: "12px", flexWrap: "wrap", justifyContent: "center" },
});

type Props = { icon: ReactNode; title: string; text?: ReactNode; children?: ReactNode; alert?: boolean };

/** What a screen says when it has nothing to show: empty, failed, not there. */
export function StatePanel({ icon, title, text, children, alert }: Props) {
  const styles = useStyles();
  return (
    <div className={styles.root} role={alert ? "alert" : "status"}>
      <span className={styles.icon} aria-hidden>
        {icon}
      </span>
      <Subtitle2 as="h2">{title}</Subtitle2>
      {text ? <Text className={styles.text}>{text}</Text> : null}
      {children ? <div className={styles.actions}>{children}</div> : null}
    </div>
  );
}

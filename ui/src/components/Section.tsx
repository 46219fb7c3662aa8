import { makeStyles, Subtitle2, Text, tokens } from "@fluentui/react-components";
import { type ReactNode, useId } from "react";

const useStyles = makeStyles({
  root: { display: "flex", flexDirection: "column", gap: "8px", minWidth: 0 },
  text: { color: tokens.colorNeutralForeground2 },
});

export function Section({ title, text, children }: { title: string; text?: string; children: ReactNode }) {
  const styles = useStyles();
  const id = useId();
  return (
    <section aria-labelledby={id} className={styles.root}>
      <Subtitle2 as="h2" id={id}>
        {title}
      </Subtitle2>
      {text ? (
        <Text size={200} className={styles.text}>
          {text}
        </Text>
      ) : null}
      {children}
    </section>
  );
}

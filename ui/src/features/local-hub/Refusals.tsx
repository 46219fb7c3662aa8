import { Button, makeStyles, Text, tokens } from "@fluentui/react-components";
import { ErrorCircleRegular } from "@fluentui/react-icons/svg/error-circle";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { ErrorBar } from "../../components/ErrorBar";
import { RelativeTime } from "../../components/RelativeTime";
import { Section } from "../../components/Section";
import { ipc, type Refusal } from "../../ipc";
import { useTask } from "../../lib/use-task";
import { useStore } from "../../store/store";

const useStyles = makeStyles({
  list: { listStyleType: "none", margin: 0, padding: 0, display: "flex", flexDirection: "column" },
  item: { display: "flex", gap: "8px", alignItems: "center", padding: "6px 0", borderBottom: `1px solid ${tokens.colorNeutralStroke3}`, flexWrap: "wrap" },
  icon: { color: tokens.colorPaletteRedForeground1, flexShrink: 0 },
  name: { overflowWrap: "anywhere" },
  reason: { flexGrow: 1, flexBasis: "240px", overflowWrap: "anywhere" },
  quiet: { color: tokens.colorNeutralForeground3, whiteSpace: "nowrap" },
});

/** Why somebody cannot connect, without knowing beforehand whom to watch. Nothing while nobody was refused. */
export function Refusals({ onWatch }: { onWatch: (id: string) => void }) {
  const styles = useStyles();
  const { t } = useTranslation();
  const count = useStore((model) => model.counters.at(-1)?.refused ?? 0);
  const [refusals, setRefusals] = useState<Refusal[]>([]);
  const { error, run } = useTask();
  useEffect(() => {
    let current = true;
    if (count > 0)
      void run(async () => {
        const read = await ipc.localRefusals();
        if (current) setRefusals(read);
      });
    return () => {
      current = false;
    };
  }, [count, run]);
  if (count === 0) return null;
  return (
    <Section title={t("localHub.refusals.title")} text={t("localHub.refusals.text")}>
      <ErrorBar error={error} what={t("errors.refusals")} />
      <ul className={styles.list} data-testid="refusals">
        {refusals.map((refusal, index) => (
          <li key={`${refusal.at} ${index}`} className={styles.item}>
            <ErrorCircleRegular className={styles.icon} aria-hidden />
            <Text weight="semibold" className={styles.name}>
              {refusal.client ?? t("localHub.refusals.unknown")}
            </Text>
            <Text className={styles.reason}>{refusal.reason}</Text>
            <Text size={200} className={styles.quiet}>
              <RelativeTime time={refusal.at} />
            </Text>
            {refusal.client === null ? null : <Watch id={refusal.client} onWatch={onWatch} />}
          </li>
        ))}
      </ul>
    </Section>
  );
}

function Watch({ id, onWatch }: { id: string; onWatch: (id: string) => void }) {
  const { t } = useTranslation();
  return (
    <Button size="small" appearance="subtle" onClick={() => onWatch(id)}>
      {t("localHub.refusals.watch", { id })}
    </Button>
  );
}

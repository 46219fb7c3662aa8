import { Field, makeStyles, Radio, RadioGroup, Text, tokens } from "@fluentui/react-components";
import { useTranslation } from "react-i18next";
import type { JobRunner } from "../../ipc";
import { changeDraft, type Draft, hubCan, runnerOf } from "./draft";

const useStyles = makeStyles({
  label: { display: "flex", flexDirection: "column" },
  quiet: { color: tokens.colorNeutralForeground2 },
});

/** Who does it. The hub knows only methods and twin changes. */
export function RunnerForm({ draft, problem }: { draft: Draft; problem: string | undefined }) {
  const styles = useStyles();
  const { t } = useTranslation();
  const can = hubCan(draft.kind);
  const option = (runner: JobRunner) => (
    <Radio
      value={runner}
      disabled={runner === "hub" && !can}
      data-testid={`job-runner-${runner}`}
      label={
        <span className={styles.label}>
          {t(`jobs.who.${runner}`)}
          <Text size={200} className={styles.quiet}>
            {runner === "hub" && !can ? t("jobs.who.hubCannot") : t(`jobs.who.${runner}Text`)}
          </Text>
        </span>
      }
    />
  );
  return (
    <Field validationMessage={problem}>
      <RadioGroup value={runnerOf(draft)} aria-label={t("jobs.who.title")} onChange={(_, data) => changeDraft({ runner: data.value as JobRunner })}>
        {option("here")}
        {option("hub")}
      </RadioGroup>
    </Field>
  );
}

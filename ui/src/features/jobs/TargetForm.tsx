import { Button, Field, Input, makeStyles, Radio, RadioGroup, Spinner, Text, tokens } from "@fluentui/react-components";
import { DocumentTableRegular } from "@fluentui/react-icons/svg/document-table";
import { useTranslation } from "react-i18next";
import { ErrorBar } from "../../components/ErrorBar";
import { ipc } from "../../ipc";
import { useTask } from "../../lib/use-task";
import { useStore } from "../../store/store";
import { useUi } from "../../store/ui";
import { changeDraft, type Draft } from "./draft";

const useStyles = makeStyles({
  row: { display: "flex", gap: "8px", flexWrap: "wrap", alignItems: "center" },
  condition: { fontFamily: tokens.fontFamilyMonospace },
  quiet: { color: tokens.colorNeutralForeground2 },
  ids: { display: "flex", flexDirection: "column", gap: "8px", paddingLeft: "32px" },
});

type Props = { draft: Draft; problem: string | undefined };

/** On which devices: picked ones, those a condition finds, or all. */
export function TargetForm({ draft, problem }: Props) {
  const styles = useStyles();
  const { t } = useTranslation();
  const devices = useStore((model) => model.app?.active?.devices ?? 0);
  const selected = useUi((ui) => ui.selected);
  const { running, error, setError, run } = useTask();
  const readFile = () =>
    void run(async () => {
      const ids = await ipc.pickDeviceIds();
      if (ids) changeDraft({ target: "picked", ids: [...new Set(ids)], source: "file" });
    });
  return (
    <>
      <RadioGroup
        value={draft.target}
        aria-label={t("jobs.on.title")}
        onChange={(_, data) => changeDraft({ target: data.value as Draft["target"] })}
      >
        <Radio value="query" label={t("jobs.on.query")} data-testid="job-target-query" />
        <Radio value="all" label={t("jobs.on.all", { count: devices })} data-testid="job-target-all" />
        <Radio value="picked" label={t("jobs.on.picked")} data-testid="job-target-picked" />
      </RadioGroup>
      {draft.target === "query" ? (
        <Field label={t("jobs.on.condition")} hint={problem ? undefined : t("jobs.on.conditionHint")} validationMessage={problem}>
          <Input
            className={styles.condition}
            value={draft.condition}
            spellCheck={false}
            placeholder={t("jobs.on.conditionPlaceholder")}
            data-testid="job-condition"
            onChange={(_, data) => changeDraft({ condition: data.value })}
          />
        </Field>
      ) : null}
      {draft.target === "picked" ? (
        <Field validationMessage={problem}>
          <div className={styles.ids} role="group" aria-label={t("jobs.on.picked")}>
            <Text data-testid="job-picked" data-count={draft.ids.length}>
              {draft.ids.length === 0
                ? t("jobs.on.nonePicked")
                : t(draft.source ? `jobs.on.from.${draft.source}` : "devices.count", { count: draft.ids.length })}
            </Text>
            <div className={styles.row}>
              <Button
                size="small"
                disabled={selected.size === 0}
                onClick={() => changeDraft({ ids: [...selected].sort(), source: "selection" })}
                data-testid="job-use-selection"
              >
                {t("jobs.on.useSelection", { count: selected.size })}
              </Button>
              <Button size="small" icon={running ? <Spinner size="tiny" /> : <DocumentTableRegular />} disabled={running} onClick={readFile} data-testid="job-ids-file">
                {t("jobs.on.file")}
              </Button>
            </div>
            <Text size={200} className={styles.quiet}>
              {t("jobs.on.fileHint")}
            </Text>
          </div>
        </Field>
      ) : null}
      <ErrorBar error={error} what={t("errors.deviceIds")} onDismiss={() => setError(null)} />
    </>
  );
}

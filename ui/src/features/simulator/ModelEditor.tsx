import { Button, makeStyles, Spinner, Subtitle1, Text, tokens } from "@fluentui/react-components";
import { ArrowExportRegular } from "@fluentui/react-icons/svg/arrow-export";
import { CopyRegular } from "@fluentui/react-icons/svg/copy";
import { DeleteRegular } from "@fluentui/react-icons/svg/delete";
import { SaveRegular } from "@fluentui/react-icons/svg/save";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { ConfirmDialog } from "../../components/ConfirmDialog";
import { ErrorBar } from "../../components/ErrorBar";
import { TomlEditor } from "../../components/TomlEditor";
import { type DeviceModel, ipc } from "../../ipc";
import { useChecked } from "../../lib/use-checked";
import { useTask } from "../../lib/use-task";
import { keepModelText, useUi } from "../../store/ui";
import { freeName, nameIn, NEW_MODEL, renamed } from "./new-model";
import { ProblemLine } from "./ProblemLine";

const useStyles = makeStyles({
  root: { display: "flex", flexDirection: "column", gap: "8px", padding: "12px 16px", flexGrow: 1, minHeight: 0 },
  head: { display: "flex", flexWrap: "wrap", alignItems: "center", gap: "8px" },
  titles: { display: "flex", flexDirection: "column", flexGrow: 1, flexBasis: "180px", minWidth: 0 },
  quiet: { color: tokens.colorNeutralForeground2, overflowWrap: "anywhere" },
  editor: { flexGrow: 1, minHeight: "120px" },
});

const check = (source: string) => ipc.checkModel(source);

type Props = {
  /** `null` for one that has not been saved yet. */
  model: DeviceModel | null;
  taken: string[];
  /** Tells where it is now; `null` when it is gone. */
  onChanged: (reference: string | null) => Promise<void>;
  onDuplicate: (source: string) => void;
};

export function ModelEditor({ model, taken, onChanged, onDuplicate }: Props) {
  const styles = useStyles();
  const { t } = useTranslation();
  const reference = model?.reference ?? NEW_MODEL;
  const kept = useUi((ui) => ui.modelTexts[reference]);
  const [saved, setSaved] = useState<string | null>(model ? null : "");
  const [said, setSaid] = useState<string | null>(null);
  const [deleting, setDeleting] = useState(false);
  const reading = useTask();
  const { running, error, setError, run } = useTask();
  const { run: read } = reading;
  const stored = model?.reference;
  useEffect(() => {
    if (stored !== undefined) void read(async () => setSaved(await ipc.readModel(stored)));
  }, [stored, read]);

  const builtIn = model?.builtIn ?? false;
  const source = kept ?? saved;
  const checked = useChecked(source ?? "", check);
  const problem = source === null ? null : (checked?.problem ?? null);
  const changed = kept !== undefined && kept !== saved;
  const save = () => {
    if (builtIn || source === null || !changed) return;
    void run(async () => {
      setSaid(null);
      const next = await ipc.saveModel(model?.reference ?? null, source);
      setSaved(source);
      keepModelText(reference, null);
      setSaid(t("models.saved"));
      await onChanged(next.reference);
    });
  };
  const duplicate = () => {
    const text = source ?? "";
    onDuplicate(renamed(text, freeName(nameIn(text) ?? "model", taken)));
  };
  const exportFile = () =>
    void run(async () => {
      setSaid(null);
      const file = model ? await ipc.exportModel(model.reference) : null;
      if (file !== null) setSaid(t("simulator.exported", { file }));
    });

  if (source === null) {
    return (
      <div className={styles.root}>
        <ErrorBar error={reading.error} what={t("errors.model")} />
      </div>
    );
  }
  return (
    <div className={styles.root} data-testid="model-editor" data-model={reference} data-valid={checked ? problem === null : undefined}>
      <div className={styles.head}>
        <div className={styles.titles}>
          <Subtitle1 as="h2">{model?.title ?? t("models.newTitle")}</Subtitle1>
          <Text size={200} className={styles.quiet}>
            {builtIn ? t("models.readOnly") : (model?.about ?? t("models.newText"))}
          </Text>
        </div>
        {builtIn ? null : (
          <Button
            appearance="primary"
            icon={running ? <Spinner size="tiny" /> : <SaveRegular />}
            disabled={running || !changed || (checked !== null && problem !== null)}
            onClick={save}
            data-testid="save-model"
          >
            {t("models.save")}
          </Button>
        )}
        {changed ? (
          <Button
            onClick={() => {
              keepModelText(reference, null);
              if (!model) void onChanged(null);
            }}
            data-testid="discard-model"
          >
            {t("twin.discard")}
          </Button>
        ) : null}
        <Button icon={<CopyRegular />} onClick={duplicate} data-testid="duplicate-model">
          {t("models.duplicate")}
        </Button>
        {model ? (
          <Button icon={<ArrowExportRegular />} disabled={running} onClick={exportFile} data-testid="export-model">
            {t("simulator.export")}
          </Button>
        ) : null}
        {model && !builtIn ? (
          <Button icon={<DeleteRegular />} disabled={running} onClick={() => setDeleting(true)} data-testid="delete-model">
            {t("models.delete")}
          </Button>
        ) : null}
      </div>
      <ErrorBar error={error} what={t("errors.saveModel")} onDismiss={() => setError(null)} />
      <TomlEditor
        className={styles.editor}
        value={source}
        onChange={(text) => keepModelText(reference, model && text === saved ? null : text)}
        problem={problem}
        readOnly={builtIn}
        label={t("models.label", { name: model?.title ?? t("models.newTitle") })}
        onSubmit={save}
        testId="model-source"
      />
      <ProblemLine problem={problem} testId="model-problem" />
      <Text size={200} role="status" className={styles.quiet}>
        {said}
      </Text>
      {deleting && model ? (
        <ConfirmDialog
          title={t("models.deleteTitle", { title: model.title })}
          submit={t("models.delete")}
          submitTestId="delete-model-confirm"
          work={async () => {
            await ipc.deleteModel(model.reference);
            keepModelText(model.reference, null);
          }}
          onClose={() => setDeleting(false)}
          onDone={() => void onChanged(null)}
        >
          <Text>{t("models.deleteText")}</Text>
        </ConfirmDialog>
      ) : null}
    </div>
  );
}

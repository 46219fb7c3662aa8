import { Field, Input, makeStyles, Text, tokens } from "@fluentui/react-components";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { FormDialog } from "./FormDialog";
import { JsonEditor } from "./JsonEditor";
import { ipc, type NewTemplate } from "../ipc";
import { useChecked } from "../lib/use-checked";
import { useTask } from "../lib/use-task";
import { keptVariables, saveTemplate } from "../store/templates";

const useStyles = makeStyles({
  editor: { "& .cm-editor": { minHeight: "96px", maxHeight: "260px" } },
  fields: { display: "flex", flexWrap: "wrap", gap: "8px 12px" },
  field: { minWidth: "140px", flexGrow: 1 },
  input: { minWidth: 0, width: "100%" },
  quiet: { color: tokens.colorNeutralForeground3 },
});

const EXAMPLE = '"{{floor}}"';

const check = (body: string) => ipc.checkTemplate(body);

type Props = { draft: NewTemplate; onClose: () => void; onSaved: (name: string) => void };

/** A name, a body in which variables may stand, and what they are when nothing is given. */
export function SaveTemplateDialog({ draft, onClose, onSaved }: Props) {
  const styles = useStyles();
  const { t } = useTranslation();
  const [name, setName] = useState(draft.name);
  const [body, setBody] = useState(draft.body);
  const [defaults, setDefaults] = useState<Record<string, string>>({});
  const checked = useChecked(body, check);
  // Shown on while the next answer is on its way, so that no field flickers.
  const [names, setNames] = useState<string[]>([]);
  if (checked && checked.problem === null && checked.variables.join() !== names.join()) setNames(checked.variables);
  const { running, error, setError, run } = useTask();
  const taken = error?.code === "AlreadyExists";

  const save = () => {
    const template = { ...draft, name: name.trim(), body, variables: keptVariables(checked?.variables ?? [], defaults) };
    void run(async () => {
      await saveTemplate(template, taken);
      onSaved(template.name);
    });
  };
  return (
    <FormDialog
      title={t("templates.saveTitle")}
      submit={taken ? t("templates.replace") : t("templates.saveSubmit")}
      submitTestId="template-save-submit"
      canSubmit={name.trim() !== "" && checked !== null && checked.problem === null}
      running={running}
      error={error}
      onClose={onClose}
      onSubmit={save}
    >
      <Field label={t("templates.name")} required>
        <Input
          value={name}
          maxLength={100}
          onChange={(_, data) => {
            setName(data.value);
            setError(null);
          }}
          data-testid="template-name"
        />
      </Field>
      <Field label={t("templates.body")} hint={t("templates.bodyHint", { example: EXAMPLE })} validationMessage={checked?.problem ?? undefined}>
        {() => <JsonEditor className={styles.editor} value={body} label={t("templates.body")} testId="template-body" mayBeEmpty onChange={setBody} />}
      </Field>
      {names.length > 0 ? (
        <div className={styles.fields} role="group" aria-label={t("templates.defaults")}>
          {names.map((variable) => (
            <Field key={variable} label={t("templates.default", { name: variable })} className={styles.field}>
              <Input
                className={styles.input}
                value={defaults[variable] ?? ""}
                onChange={(_, data) => setDefaults((known) => ({ ...known, [variable]: data.value }))}
                data-testid={`default-${variable}`}
              />
            </Field>
          ))}
        </div>
      ) : (
        <Text size={200} className={styles.quiet}>
          {t("templates.noVariables")}
        </Text>
      )}
    </FormDialog>
  );
}

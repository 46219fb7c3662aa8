import { Button, Field, Input, makeStyles, Menu, MenuButton, MenuGroup, MenuGroupHeader, MenuItem, MenuList, MenuPopover, MenuTrigger, Text, tokens, Tooltip } from "@fluentui/react-components";
import { BookmarkAddRegular } from "@fluentui/react-icons/svg/bookmark-add";
import { DeleteRegular } from "@fluentui/react-icons/svg/delete";
import { DismissRegular } from "@fluentui/react-icons/svg/dismiss";
import { DocumentTextRegular } from "@fluentui/react-icons/svg/document-text";
import { useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { ConfirmDialog } from "./ConfirmDialog";
import { ErrorBar } from "./ErrorBar";
import { ipc, type NewTemplate, type Template, type TemplateUse, toAppError } from "../ipc";
import { useTask } from "../lib/use-task";
import { SaveTemplateDialog } from "./SaveTemplateDialog";
import { defaultsOf, deleteTemplate, given, readTemplates, useTemplates } from "../store/templates";

const useStyles = makeStyles({
  root: { display: "flex", flexDirection: "column", gap: "8px" },
  row: { display: "flex", flexWrap: "wrap", gap: "8px", alignItems: "center" },
  fields: { display: "flex", flexWrap: "wrap", gap: "8px 12px", alignItems: "flex-end" },
  field: { minWidth: "120px", flexGrow: 1, maxWidth: "260px" },
  input: { minWidth: 0, width: "100%" },
  chosen: {
    display: "flex",
    flexDirection: "column",
    gap: "8px",
    padding: "8px 12px 10px",
    borderRadius: tokens.borderRadiusMedium,
    backgroundColor: tokens.colorNeutralBackground3,
  },
  name: { flexGrow: 1 },
  quiet: { color: tokens.colorNeutralForeground3 },
});

type Props = {
  kind: TemplateUse["kind"];
  /** With `button` when it is pressed, otherwise as soon as the template is chosen and with every value. */
  onFilled: (template: Template, text: string) => void;
  button?: string;
  canFill?: boolean;
  /** What "Save as template" would keep; null while there is nothing to keep. */
  draft: NewTemplate | null;
};

/** Chooses a template, fills its variables, and keeps what stands in the form as a new one. */
export function TemplateBar({ kind, onFilled, button, canFill = true, draft }: Props) {
  const styles = useStyles();
  const { t } = useTranslation();
  const all = useTemplates((store) => store.list);
  const [chosenId, setChosenId] = useState<string | null>(null);
  const [values, setValues] = useState<Record<string, string>>({});
  const [filled, setFilled] = useState<{ text: string | null; problem: string | null }>({ text: null, problem: null });
  const [saving, setSaving] = useState<NewTemplate | null>(null);
  const [deleting, setDeleting] = useState(false);
  const [said, setSaid] = useState<string | null>(null);
  const { error, run } = useTask();
  useEffect(() => {
    void run(readTemplates);
  }, [run]);

  const list = (all ?? []).filter((template) => template.use.kind === kind);
  const chosen = list.find(({ id }) => id === chosenId) ?? null;
  const asking = useRef(0);
  const ask = (template: Template, next: Record<string, string>) => {
    asking.current += 1;
    const mine = asking.current;
    setValues(next);
    ipc.fillTemplate(template.id, given(template, next)).then(
      (text) => {
        if (mine !== asking.current) return;
        setFilled({ text, problem: null });
        if (button === undefined) onFilled(template, text);
      },
      (thrown: unknown) => {
        if (mine === asking.current) setFilled({ text: null, problem: toAppError(thrown).message });
      },
    );
  };
  const choose = (template: Template) => {
    setChosenId(template.id);
    setSaid(null);
    ask(template, defaultsOf(template));
  };
  const close = () => {
    asking.current += 1;
    setChosenId(null);
    setFilled({ text: null, problem: null });
  };
  const group = (builtIn: boolean, title: string) => {
    const some = list.filter((template) => template.builtIn === builtIn);
    return some.length === 0 ? null : (
      <MenuGroup>
        <MenuGroupHeader>{title}</MenuGroupHeader>
        {some.map((template) => (
          <MenuItem key={template.id} onClick={() => choose(template)} data-testid={`template-${template.id}`}>
            {template.name}
          </MenuItem>
        ))}
      </MenuGroup>
    );
  };

  return (
    <div className={styles.root} data-testid={`templates-${kind}`}>
      <div className={styles.row}>
        <Menu>
          <MenuTrigger disableButtonEnhancement>
            <MenuButton size="small" icon={<DocumentTextRegular />} data-testid={`template-menu-${kind}`}>
              {t("templates.choose")}
            </MenuButton>
          </MenuTrigger>
          <MenuPopover>
            <MenuList>
              {group(false, t("templates.own"))}
              {group(true, t("templates.builtIn"))}
            </MenuList>
          </MenuPopover>
        </Menu>
        <Button
          size="small"
          appearance="subtle"
          icon={<BookmarkAddRegular />}
          disabled={draft === null}
          onClick={() => setSaving(draft)}
          data-testid={`template-save-${kind}`}
        >
          {t("templates.save")}
        </Button>
        <Text size={200} role="status" className={styles.quiet}>
          {said}
        </Text>
      </div>
      <ErrorBar error={error} what={t("errors.templates")} onRetry={() => void run(readTemplates)} />
      {chosen ? (
        <div className={styles.chosen} role="group" aria-label={t("templates.fill", { name: chosen.name })} data-testid="template-fields">
          <div className={styles.row}>
            <Text weight="semibold" className={styles.name}>
              {chosen.name}
            </Text>
            {chosen.builtIn ? null : (
              <Tooltip content={t("templates.delete")} relationship="label">
                <Button size="small" appearance="subtle" icon={<DeleteRegular />} onClick={() => setDeleting(true)} data-testid="template-delete" />
              </Tooltip>
            )}
            <Tooltip content={t("templates.close")} relationship="label">
              <Button size="small" appearance="subtle" icon={<DismissRegular />} onClick={close} />
            </Tooltip>
          </div>
          <div className={styles.fields}>
            {chosen.variables.map(({ name }) => (
              <Field key={name} label={name} size="small" className={styles.field}>
                <Input
                  size="small"
                  className={styles.input}
                  value={values[name] ?? ""}
                  onChange={(_, data) => ask(chosen, { ...values, [name]: data.value })}
                  data-testid={`variable-${name}`}
                />
              </Field>
            ))}
            {button === undefined ? null : (
              <Button
                size="small"
                appearance="primary"
                disabled={!canFill || filled.text === null}
                onClick={() => filled.text !== null && onFilled(chosen, filled.text)}
                data-testid="template-use"
              >
                {button}
              </Button>
            )}
          </div>
          <Text size={200} role="status" className={styles.quiet}>
            {filled.problem ?? (chosen.variables.length > 0 ? t("templates.hint") : null)}
          </Text>
        </div>
      ) : null}
      {saving ? (
        <SaveTemplateDialog
          draft={saving}
          onClose={() => setSaving(null)}
          onSaved={(name) => {
            setSaving(null);
            setSaid(t("templates.saved", { name }));
          }}
        />
      ) : null}
      {deleting && chosen ? (
        <ConfirmDialog
          title={t("templates.deleteTitle", { name: chosen.name })}
          submit={t("templates.delete")}
          submitTestId="template-delete-confirm"
          work={() => deleteTemplate(chosen.id)}
          onClose={() => setDeleting(false)}
          onDone={close}
        >
          <Text>{t("templates.deleteText")}</Text>
        </ConfirmDialog>
      ) : null}
    </div>
  );
}

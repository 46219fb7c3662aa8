import { Combobox, Dropdown, Field, Input, makeStyles, Option, OptionGroup, Text, tokens } from "@fluentui/react-components";
import { useTranslation } from "react-i18next";
import { JsonEditor } from "../../components/JsonEditor";
import { PackageField } from "../../components/PackageField";
import { knownMethods } from "../../lib/known-methods";
import { changeDraft, type Draft, kindGroups } from "./draft";

const useStyles = makeStyles({
  row: { display: "flex", gap: "12px", flexWrap: "wrap", alignItems: "flex-start" },
  grow: { flexGrow: 1, flexBasis: "200px", minWidth: 0 },
  short: { width: "132px" },
  input: { minWidth: 0, width: "100%" },
  kind: { maxWidth: "340px" },
  editor: { "& .cm-editor": { minHeight: "84px", maxHeight: "240px" } },
  code: { fontFamily: tokens.fontFamilyMonospace },
  text: { color: tokens.colorNeutralForeground2 },
});

type Props = {
  draft: Draft;
  /** What is wrong with a field, in words. */
  told: (field: keyof Draft) => string | undefined;
  onSubmit: () => void;
};

export function WorkForm({ draft, told, onSubmit }: Props) {
  const styles = useStyles();
  const { t } = useTranslation();
  return (
    <>
      <Field label={t("jobs.what.kind")} className={styles.kind}>
        <Dropdown
          value={t(`jobs.kinds.${draft.kind}`)}
          selectedOptions={[draft.kind]}
          data-testid="job-kind"
          data-kind={draft.kind}
          onOptionSelect={(_, data) => data.optionValue !== undefined && changeDraft({ kind: data.optionValue as Draft["kind"] })}
        >
          {(["hub", "device", "registry"] as const).map((group) => (
            <OptionGroup key={group} label={t(`jobs.what.groups.${group}`)}>
              {kindGroups[group].map((kind) => (
                <Option key={kind} value={kind} data-testid={`job-kind-${kind}`}>
                  {t(`jobs.kinds.${kind}`)}
                </Option>
              ))}
            </OptionGroup>
          ))}
        </Dropdown>
      </Field>
      <Text size={200} className={styles.text}>
        {t(`jobs.what.about.${draft.kind}`)}
      </Text>
      <Fields draft={draft} told={told} onSubmit={onSubmit} />
    </>
  );
}

function Fields({ draft, told, onSubmit }: Props) {
  const styles = useStyles();
  const { t } = useTranslation();
  const json = (field: "payload" | "desired" | "tags" | "settingValue" | "properties", mayBeEmpty: boolean, className?: string) => (
    <Field key={field} className={className} label={t(`jobs.what.${field}`)} validationMessage={told(field)} hint={told(field) ? undefined : t(`jobs.what.${field}Hint`)}>
      {() => (
        <JsonEditor
          className={styles.editor}
          value={draft[field]}
          label={t(`jobs.what.${field}`)}
          testId={`job-${field}`}
          mayBeEmpty={mayBeEmpty}
          onChange={(text) => changeDraft({ [field]: text })}
          onSubmit={onSubmit}
        />
      )}
    </Field>
  );
  const line = (field: "setting" | "names" | "version", hint?: string) => (
    <Field label={t(`jobs.what.${field}`)} validationMessage={told(field)} {...(hint && !told(field) ? { hint } : {})}>
      <Input value={draft[field]} spellCheck={false} data-testid={`job-${field}`} onChange={(_, data) => changeDraft({ [field]: data.value })} />
    </Field>
  );
  const seconds = (field: "responseTimeout" | "connectTimeout", least: number) => (
    <Field className={styles.short} label={t(`methods.${field === "responseTimeout" ? "response" : "connect"}`)} validationMessage={told(field)}>
      <Input
        className={styles.input}
        type="number"
        min={least}
        max={300}
        value={draft[field]}
        contentAfter={t("methods.seconds")}
        data-testid={`job-${field}`}
        onChange={(_, data) => changeDraft({ [field]: data.value })}
      />
    </Field>
  );
  switch (draft.kind) {
    case "invokeMethod":
      return (
        <>
          <div className={styles.row}>
            <MethodName draft={draft} problem={told("methodName")} />
            {seconds("responseTimeout", 5)}
            {seconds("connectTimeout", 0)}
          </div>
          {json("payload", true)}
        </>
      );
    case "updateTwin":
      return (
        <div className={styles.row}>
          {json("desired", true, styles.grow)}
          {json("tags", true, styles.grow)}
        </div>
      );
    case "firmwareUpdate":
      return (
        <>
          <PackageField value={draft.package} onChange={(source) => changeDraft({ package: source })} problem={told("package")} />
          {line("version", t("jobs.what.versionHint"))}
        </>
      );
    case "configurationUpdate":
      return (
        <>
          {line("setting")}
          {json("settingValue", false)}
        </>
      );
    case "readProperties":
      return line("names", t("jobs.what.namesHint"));
    case "writeProperties":
      return json("properties", false);
    default:
      return null;
  }
}

function MethodName({ draft, problem }: { draft: Draft; problem: string | undefined }) {
  const styles = useStyles();
  const { t } = useTranslation();
  const wanted = draft.methodName.trim().toLowerCase();
  const names = Object.keys(knownMethods);
  const offered = names.filter((name) => name.toLowerCase().includes(wanted) && name !== draft.methodName);
  const choose = (name: string) => {
    const known = knownMethods[name];
    const untouched = draft.payload.trim() === "" || Object.values(knownMethods).some(({ payload }) => payload === draft.payload);
    changeDraft({ methodName: name, ...(known && untouched ? { payload: known.payload, responseTimeout: known.response } : {}) });
  };
  return (
    <Field label={t("methods.name")} className={styles.grow} validationMessage={problem}>
      <Combobox
        freeform
        className={styles.input}
        input={{ className: styles.input }}
        value={draft.methodName}
        selectedOptions={[draft.methodName]}
        placeholder={t("jobs.what.methodPlaceholder")}
        data-testid="job-methodName"
        onChange={(event) => changeDraft({ methodName: event.target.value })}
        onOptionSelect={(_, data) => data.optionValue !== undefined && choose(data.optionValue)}
      >
        {offered.map((name) => (
          <Option key={name} value={name}>
            {name}
          </Option>
        ))}
      </Combobox>
    </Field>
  );
}

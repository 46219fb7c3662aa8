import { Button, Combobox, Field, Input, makeStyles, Option, Spinner, Text, tokens } from "@fluentui/react-components";
import { SendRegular } from "@fluentui/react-icons/svg/send";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { JsonEditor } from "../../components/JsonEditor";
import { formatBytes } from "../../lib/format";
import { byteLength, METHOD_PAYLOAD_LIMIT, parseText } from "../../lib/json-text";
import { knownMethods } from "../../lib/known-methods";
import { canInvoke, chooseName, connectWrong, type Draft, responseWrong } from "./known-methods";

const useStyles = makeStyles({
  root: { display: "flex", flexDirection: "column", gap: "14px" },
  row: { display: "flex", gap: "12px", flexWrap: "wrap" },
  name: { flexGrow: 1, minWidth: "190px" },
  timeout: { width: "126px" },
  input: { minWidth: 0, width: "100%" },
  editor: { "& .cm-editor": { minHeight: "72px", maxHeight: "220px" } },
  actions: { display: "flex", gap: "12px", alignItems: "center" },
  keys: { color: tokens.colorNeutralForeground3 },
});

type Props = { draft: Draft; onChange: (draft: Draft) => void; running: boolean; onInvoke: () => void };

export function MethodForm({ draft, onChange, running, onInvoke }: Props) {
  const styles = useStyles();
  const { t } = useTranslation();
  const parsed = draft.payload.trim() === "" ? null : parseText(draft.payload);
  // The list would lie over the payload of whoever has typed a known name to its end.
  const [open, setOpen] = useState(false);
  const [typing, setTyping] = useState(false);
  const size = byteLength(draft.payload);
  const payloadProblem =
    size > METHOD_PAYLOAD_LIMIT
      ? t("methods.tooLarge", { size: formatBytes(size), limit: formatBytes(METHOD_PAYLOAD_LIMIT) })
      : parsed?.ok === false
        ? t("methods.notJson", { message: parsed.message })
        : undefined;
  const ready = canInvoke(draft) && !payloadProblem;
  const invoke = () => {
    if (ready && !running) onInvoke();
  };
  const wanted = draft.name.trim().toLowerCase();
  const names = Object.keys(knownMethods);
  const offered = names.some((name) => name.toLowerCase() === wanted) ? names : names.filter((name) => name.toLowerCase().includes(wanted));

  return (
    // Ctrl+Enter works from every field of the form, so the form itself hears it.
    // eslint-disable-next-line jsx-a11y/no-noninteractive-element-interactions
    <form
      className={styles.root}
      data-testid="method-form"
      onSubmit={(event) => {
        event.preventDefault();
        invoke();
      }}
      onKeyDown={(event) => {
        if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.defaultPrevented) return;
        event.preventDefault();
        invoke();
      }}
    >
      <div className={styles.row}>
        <Field label={t("methods.name")} required className={styles.name}>
          <Combobox
            freeform
            className={styles.input}
            input={{ className: styles.input }}
            value={draft.name}
            selectedOptions={[draft.name]}
            placeholder={t("methods.namePlaceholder")}
            data-testid="method-name"
            open={open && !(typing && names.includes(draft.name.trim()))}
            onOpenChange={(event, data) => {
              setOpen(data.open);
              if (event.type === "click") setTyping(false);
            }}
            onChange={(event) => {
              setTyping(true);
              onChange({ ...draft, name: event.target.value });
            }}
            onOptionSelect={(_, data) => data.optionValue !== undefined && onChange(chooseName(draft, data.optionValue))}
          >
            {offered.map((name) => (
              <Option key={name} value={name}>
                {name}
              </Option>
            ))}
          </Combobox>
        </Field>
        <Field
          label={t("methods.response")}
          className={styles.timeout}
          validationMessage={responseWrong(draft.response) ? t("methods.responseWrong") : undefined}
        >
          <Input
            className={styles.input}
            type="number"
            min={5}
            max={300}
            value={draft.response}
            contentAfter={t("methods.seconds")}
            data-testid="method-response-timeout"
            onChange={(_, data) => onChange({ ...draft, response: data.value })}
          />
        </Field>
        <Field
          label={t("methods.connect")}
          className={styles.timeout}
          validationMessage={connectWrong(draft.connect) ? t("methods.connectWrong") : undefined}
        >
          <Input
            className={styles.input}
            type="number"
            min={0}
            max={300}
            value={draft.connect}
            contentAfter={t("methods.seconds")}
            data-testid="method-connect-timeout"
            onChange={(_, data) => onChange({ ...draft, connect: data.value })}
          />
        </Field>
      </div>
      <Field label={t("methods.payload")} validationMessage={payloadProblem} hint={payloadProblem ? undefined : t("methods.payloadHint")}>
        {() => (
          <JsonEditor
            className={styles.editor}
            value={draft.payload}
            label={t("methods.payload")}
            testId="method-payload"
            mayBeEmpty
            onChange={(payload) => onChange({ ...draft, payload })}
            onSubmit={invoke}
          />
        )}
      </Field>
      <div className={styles.actions}>
        <Button
          type="submit"
          appearance="primary"
          disabled={!ready || running}
          icon={running ? <Spinner size="tiny" /> : <SendRegular />}
          data-testid="method-invoke"
        >
          {t("methods.invoke")}
        </Button>
        <Text size={200} className={styles.keys}>
          {t("keys.run")}
        </Text>
      </div>
    </form>
  );
}

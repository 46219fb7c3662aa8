import { makeStyles } from "@fluentui/react-components";
import { useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { ErrorBar } from "../../components/ErrorBar";
import type { MethodCall, NewTemplate, Template } from "../../ipc";
import { useTask } from "../../lib/use-task";
import { invokeMethod, readCalls, useStore } from "../../store/store";
import { SaveTemplateDialog } from "../../components/SaveTemplateDialog";
import { TemplateBar } from "../../components/TemplateBar";
import { CallList } from "./CallList";
import { canInvoke, type Draft, emptyDraft } from "./known-methods";
import { MethodForm } from "./MethodForm";
import { MethodResult } from "./MethodResult";

const useStyles = makeStyles({ root: { padding: "16px 20px 20px", display: "flex", flexDirection: "column", gap: "18px" } });

const none: MethodCall[] = [];

const templateOf = (draft: Draft): NewTemplate => ({
  name: draft.name.trim(),
  use: {
    kind: "method",
    methodName: draft.name.trim(),
    responseTimeoutSeconds: Number(draft.response),
    connectTimeoutSeconds: Number(draft.connect),
  },
  body: draft.payload,
  variables: [],
});

const fromTemplate = (template: Template, payload: string, before: Draft): Draft =>
  template.use.kind === "method"
    ? {
        name: template.use.methodName,
        payload,
        response: String(template.use.responseTimeoutSeconds),
        connect: String(template.use.connectTimeoutSeconds),
      }
    : before;

const draftOf = (call: MethodCall): Draft => ({
  name: call.methodName,
  payload: call.payloadText,
  response: String(call.responseTimeoutSeconds),
  connect: String(call.connectTimeoutSeconds),
});

export function MethodsTab({ deviceId }: { deviceId: string }) {
  const styles = useStyles();
  const { t } = useTranslation();
  const calls = useStore((model) => model.calls[deviceId] ?? none);
  const [draft, setDraft] = useState<Draft>(emptyDraft);
  const [startedAt, setStartedAt] = useState<number | null>(null);
  const [shown, setShown] = useState<number | null>(null);
  const [keeping, setKeeping] = useState<NewTemplate | null>(null);
  const form = useRef<HTMLDivElement>(null);
  const { running, error, run } = useTask();
  const list = useTask();
  const readList = list.run;

  useEffect(() => {
    void readList(() => readCalls(deviceId));
  }, [deviceId, readList]);

  const invoke = (what: Draft) => {
    if (running) return;
    setStartedAt(Date.now());
    setShown(null);
    void run(async () => {
      const call = await invokeMethod({
        deviceId,
        methodName: what.name.trim(),
        payloadText: what.payload,
        responseTimeoutSeconds: Number(what.response),
        connectTimeoutSeconds: Number(what.connect),
      });
      setShown(call.id);
    });
  };

  return (
    <div className={styles.root}>
      <TemplateBar
        kind="method"
        onFilled={(template, text) => setDraft((before) => fromTemplate(template, text, before))}
        draft={canInvoke(draft) ? templateOf(draft) : null}
      />
      <div ref={form}>
        <MethodForm draft={draft} onChange={setDraft} running={running} onInvoke={() => invoke(draft)} />
      </div>
      <MethodResult
        call={calls.find((call) => call.id === shown) ?? null}
        error={error}
        runningSince={running ? startedAt : null}
      />
      <ErrorBar error={list.error} what={t("errors.calls")} onRetry={() => void readList(() => readCalls(deviceId))} />
      <CallList
        calls={calls}
        busy={running}
        shown={shown}
        onShow={setShown}
        onEdit={(call) => {
          setDraft(draftOf(call));
          // The list may have been scrolled far below the form.
          form.current?.querySelector("input")?.focus();
        }}
        onRepeat={(call) => {
          setDraft(draftOf(call));
          invoke(draftOf(call));
        }}
        onKeep={(call) => setKeeping(templateOf(draftOf(call)))}
      />
      {keeping ? <SaveTemplateDialog draft={keeping} onClose={() => setKeeping(null)} onSaved={() => setKeeping(null)} /> : null}
    </div>
  );
}

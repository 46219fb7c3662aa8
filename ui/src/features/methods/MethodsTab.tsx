import { makeStyles } from "@fluentui/react-components";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { ErrorBar } from "../../components/ErrorBar";
import type { MethodCall } from "../../ipc";
import { useTask } from "../../lib/use-task";
import { invokeMethod, readCalls, useStore } from "../../store/store";
import { CallList } from "./CallList";
import { type Draft, emptyDraft } from "./known-methods";
import { MethodForm } from "./MethodForm";
import { MethodResult } from "./MethodResult";

const useStyles = makeStyles({ root: { padding: "16px 20px 20px", display: "flex", flexDirection: "column", gap: "18px" } });

const none: MethodCall[] = [];

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
      <MethodForm draft={draft} onChange={setDraft} running={running} onInvoke={() => invoke(draft)} />
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
        onEdit={(call) => setDraft(draftOf(call))}
        onRepeat={(call) => {
          setDraft(draftOf(call));
          invoke(draftOf(call));
        }}
      />
    </div>
  );
}

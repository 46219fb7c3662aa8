import { makeStyles, MessageBar, MessageBarBody, Switch, Text, tokens } from "@fluentui/react-components";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate } from "react-router";
import { FormDialog } from "../../components/FormDialog";
import { HubNameField, useHubName } from "../../components/HubNameField";
import { LoadNotice } from "../../components/LoadNotice";
import { TomlEditor } from "../../components/TomlEditor";
import { type FleetDraft, ipc } from "../../ipc";
import { useChecked } from "../../lib/use-checked";
import { useTask } from "../../lib/use-task";
import { createFleet } from "../../store/simulator";
import { useActiveHub } from "../../store/store";
import { ProblemLine } from "./ProblemLine";

const useStyles = makeStyles({
  editor: { height: "280px" },
  note: { color: tokens.colorNeutralForeground2 },
});

const check = (source: string) => ipc.checkFleet(source);

/** A fleet file, read over before its devices are made. */
export function FleetFileDialog({ draft, onClose }: { draft: FleetDraft; onClose: () => void }) {
  const styles = useStyles();
  const { t } = useTranslation();
  const navigate = useNavigate();
  const hub = useActiveHub()?.hub;
  const [source, setSource] = useState(draft.source);
  const [start, setStart] = useState(true);
  const checked = useChecked(source, check);
  const name = useHubName();
  const { running, error, run } = useTask();
  const known = checked ?? (source === draft.source ? draft : null);
  const load = known?.load ?? null;
  const local = hub?.kind === "local";
  return (
    <FormDialog
      title={t("simulator.fileTitle")}
      submit={load ? t(start ? "simulator.createStart" : "simulator.create", { count: load.devices }) : t("simulator.create", { count: 0 })}
      submitTestId="create-from-file"
      canSubmit={load !== null && known?.problem === null && known.taken === 0 && name.named}
      running={running}
      error={error}
      onClose={onClose}
      onSubmit={() =>
        void run(async () => {
          const confirmation = local || !load ? null : { devices: load.devices, messagesPerDay: load.messagesPerDay };
          const fleet = await createFleet(source, start, confirmation);
          onClose();
          void navigate(`/simulator/fleets/${fleet.id}`);
        })
      }
    >
      <TomlEditor
        className={styles.editor}
        value={source}
        onChange={setSource}
        problem={checked?.problem ?? null}
        label={t("simulator.fileLabel")}
        testId="fleet-source"
      />
      <ProblemLine problem={known?.problem ?? null} testId="fleet-problem" />
      {load && known?.problem === null ? (
        <Text size={200} className={styles.note}>
          {t("simulator.fileSummary", { count: load.devices, first: known.firstId ?? "", last: known.lastId ?? "" })}
        </Text>
      ) : null}
      {known && known.taken > 0 ? (
        <MessageBar intent="error" layout="multiline">
          <MessageBarBody>{t("simulator.taken", { count: known.taken })}</MessageBarBody>
        </MessageBar>
      ) : null}
      <Switch label={t("simulator.startAtOnce")} checked={start} onChange={(_, data) => setStart(data.checked)} />
      {load && !local ? <LoadNotice load={load} host={hub?.hostName ?? ""} /> : null}
      <HubNameField name={name} />
    </FormDialog>
  );
}

import {
  Accordion,
  AccordionHeader,
  AccordionItem,
  AccordionPanel,
  Button,
  Dropdown,
  Field,
  Input,
  Link,
  makeStyles,
  Option,
  OptionGroup,
  Radio,
  RadioGroup,
  Text,
  tokens,
} from "@fluentui/react-components";
import { AddRegular } from "@fluentui/react-icons/svg/add";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { useLocation, useNavigate } from "react-router";
import { FormDialog } from "../../components/FormDialog";
import { HubNameField, useHubName } from "../../components/HubNameField";
import { LoadNotice } from "../../components/LoadNotice";
import { type DeviceModel, type FleetDraft, ipc, type TagPattern, toAppError } from "../../ipc";
import { isDeviceId } from "../../lib/device-id";
import { useTask } from "../../lib/use-task";
import { createFleet } from "../../store/simulator";
import { useActiveHub } from "../../store/store";
import { openDialog, tell } from "../../store/ui";
import { TagRow } from "./TagRow";

const MOST_DEVICES = 10_000;
const FASTEST = 5000;
const FIRST = "firmware-a";
const TUTORIAL = "1";

const useStyles = makeStyles({
  row: { display: "grid", gridTemplateColumns: "minmax(0, 1fr) minmax(0, 2fr)", gap: "16px", alignItems: "start" },
  note: { color: tokens.colorNeutralForeground2 },
  more: { display: "flex", flexDirection: "column", gap: "14px", padding: "8px 0 4px" },
  tags: { display: "flex", flexDirection: "column", gap: "8px", alignItems: "flex-start" },
  file: { alignSelf: "flex-start" },
});

const problemOf = (draft: FleetDraft) =>
  draft.problem ? toAppError({ code: "InvalidInput", message: draft.problem.message }) : null;

/** From the device list a few devices in three fields; a fleet with all it can have below. */
export function NewFleetDialog({ onClose }: { onClose: () => void }) {
  const styles = useStyles();
  const { t } = useTranslation();
  const navigate = useNavigate();
  const onSimulator = useLocation().pathname.startsWith("/simulator");
  const hub = useActiveHub()?.hub;
  const [models, setModels] = useState<DeviceModel[]>([]);
  const [count, setCount] = useState("20");
  const [prefix, setPrefix] = useState("sim");
  const [model, setModel] = useState(FIRST);
  const [timeScale, setTimeScale] = useState(TUTORIAL);
  const [name, setName] = useState("");
  const [pace, setPace] = useState("200");
  const [tags, setTags] = useState<TagPattern[]>([]);
  /** What will be made, while a hub that is not local waits for the person's word. */
  const [draft, setDraft] = useState<FleetDraft | null>(null);
  const hubName = useHubName();
  const reading = useTask();
  const { running, error, setError, run } = useTask();
  const { run: read } = reading;
  useEffect(() => {
    void read(async () => setModels(await ipc.listModels()));
  }, [read]);

  const number = Number(count);
  const perSecond = Number(pace);
  const countWrong = !Number.isInteger(number) || number < 1 || number > MOST_DEVICES;
  const paceWrong = !Number.isInteger(perSecond) || perSecond < 1 || perSecond > FASTEST;
  const prefixWrong = !isDeviceId(prefix);
  const chosen = models.find(({ reference }) => reference === model);
  const local = hub?.kind === "local";
  const asking = draft?.load && !local ? draft.load : null;

  const make = async (made: FleetDraft) => {
    const load = made.load;
    const confirmation = local || !load ? null : { devices: load.devices, messagesPerDay: load.messagesPerDay };
    const fleet = await createFleet(made.source, true, confirmation);
    onClose();
    if (onSimulator) void navigate(`/simulator/fleets/${fleet.id}`);
    else tell({ text: t("devices.simulatedAdded", { count: number }), failures: [] });
  };
  const form = () => ({
    name: name.trim() === "" ? prefix : name.trim(),
    prefix,
    count: number,
    model,
    timeScale: Number(timeScale),
    perSecond,
    tags: tags.filter((tag) => tag.name.trim() !== ""),
  });
  const submit = () =>
    void run(async () => {
      if (draft) return make(draft);
      const made = await ipc.draftFleet(form());
      const problem = problemOf(made);
      if (problem) throw problem;
      if (local) return make(made);
      setDraft(made);
    });
  const asFile = () =>
    void run(async () => {
      const made = await ipc.draftFleet(form());
      openDialog({ kind: "fleetFile", draft: made });
    });

  return (
    <FormDialog
      title={t("devices.addSimulated")}
      submit={asking ? t("simulator.createStart", { count: asking.devices }) : t("devices.addSimulatedSubmit", { count: countWrong ? 0 : number })}
      submitTestId="add-simulated-create"
      canSubmit={!countWrong && !prefixWrong && !paceWrong && (asking === null || hubName.named)}
      running={running}
      error={error ?? reading.error}
      onSubmit={submit}
      onClose={onClose}
    >
      {asking ? (
        <>
          <LoadNotice load={asking} host={hub?.hostName ?? ""} />
          <HubNameField name={hubName} />
          <Link as="button" type="button" onClick={() => setDraft(null)} className={styles.file}>
            {t("simulator.back")}
          </Link>
        </>
      ) : (
        <>
          <Text className={styles.note}>{t("devices.addSimulatedText")}</Text>
          <div className={styles.row}>
            <Field label={t("devices.howMany")} required validationMessage={countWrong ? t("devices.countWrong", { most: MOST_DEVICES }) : undefined}>
              <Input type="number" min={1} max={MOST_DEVICES} value={count} data-testid="add-simulated-count" onChange={(_, data) => setCount(data.value)} />
            </Field>
            <Field
              label={t("devices.prefix")}
              required
              validationMessage={prefixWrong ? t("devices.idWrong") : undefined}
              hint={prefixWrong ? undefined : t("devices.prefixHint")}
            >
              <Input value={prefix} spellCheck={false} data-testid="add-simulated-prefix" onChange={(_, data) => setPrefix(data.value)} />
            </Field>
          </div>
          <Field label={t("devices.model")} hint={chosen?.about}>
            <Dropdown
              value={chosen?.title ?? model}
              selectedOptions={[model]}
              data-testid="add-simulated-model"
              onOptionSelect={(_, data) => setModel(data.optionValue ?? FIRST)}
            >
              <ModelOptions label={t("models.builtIn")} models={models.filter(({ builtIn }) => builtIn)} />
              <ModelOptions label={t("models.own")} models={models.filter(({ builtIn, problem }) => !builtIn && problem === null)} />
            </Dropdown>
          </Field>
          <Field label={t("devices.speed")}>
            <RadioGroup value={timeScale} onChange={(_, data) => setTimeScale(data.value)}>
              <Radio value={TUTORIAL} label={t("devices.speeds.tutorial")} />
              <Radio value="0.01" label={t("devices.speeds.fast")} data-testid="add-simulated-fast" />
            </RadioGroup>
          </Field>
          <Accordion collapsible>
            <AccordionItem value="more">
              <AccordionHeader size="small" data-testid="add-simulated-more">
                {t("simulator.options")}
              </AccordionHeader>
              <AccordionPanel>
                <div className={styles.more}>
                  <div className={styles.row}>
                    <Field
                      label={t("simulator.perSecondField")}
                      validationMessage={paceWrong ? t("simulator.paceWrong", { most: FASTEST }) : undefined}
                      hint={paceWrong ? undefined : t("simulator.perSecondHint")}
                    >
                      <Input type="number" min={1} max={FASTEST} value={pace} data-testid="add-simulated-pace" onChange={(_, data) => setPace(data.value)} />
                    </Field>
                    <Field label={t("simulator.name")}>
                      <Input value={name} maxLength={60} placeholder={prefix} data-testid="add-simulated-name" onChange={(_, data) => setName(data.value)} />
                    </Field>
                  </div>
                  <Field label={t("simulator.tags")} hint={t("simulator.tagsHint")}>
                    <div className={styles.tags}>
                      {tags.map((tag, at) => (
                        <TagRow
                          key={at}
                          tag={tag}
                          onChange={(next) => setTags(tags.map((known, index) => (index === at ? next : known)))}
                          onRemove={() => setTags(tags.filter((_, index) => index !== at))}
                        />
                      ))}
                      <Button
                        size="small"
                        icon={<AddRegular />}
                        onClick={() => setTags([...tags, { name: "", kind: "cycle", text: "" }])}
                        data-testid="add-tag"
                      >
                        {t("simulator.addTag")}
                      </Button>
                    </div>
                  </Field>
                  <Button
                    size="small"
                    className={styles.file}
                    disabled={running || countWrong || prefixWrong || paceWrong}
                    onClick={() => {
                      setError(null);
                      asFile();
                    }}
                    data-testid="as-file"
                  >
                    {t("simulator.asFile")}
                  </Button>
                </div>
              </AccordionPanel>
            </AccordionItem>
          </Accordion>
        </>
      )}
    </FormDialog>
  );
}

function ModelOptions({ label, models }: { label: string; models: DeviceModel[] }) {
  if (models.length === 0) return null;
  return (
    <OptionGroup label={label}>
      {models.map(({ reference, title }) => (
        <Option key={reference} value={reference} data-testid={`model-${reference}`}>
          {title}
        </Option>
      ))}
    </OptionGroup>
  );
}

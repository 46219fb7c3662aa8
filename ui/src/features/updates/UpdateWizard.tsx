import { Button, Field, Input, makeStyles, Radio, RadioGroup, Spinner, Text, tokens } from "@fluentui/react-components";
import { BeakerRegular } from "@fluentui/react-icons/svg/beaker";
import { FolderOpenRegular } from "@fluentui/react-icons/svg/folder-open";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate } from "react-router";
import { FormDialog } from "../../components/FormDialog";
import { HubNameField, useHubName } from "../../components/HubNameField";
import { ipc, type Package } from "../../ipc";
import { formatBytes } from "../../lib/format";
import { useTask } from "../../lib/use-task";
import { startUpdate, useStore } from "../../store/store";

const URI = "uri";
const LISTED = 5;

const useStyles = makeStyles({
  buttons: { display: "flex", gap: "8px", flexWrap: "wrap" },
  note: { color: tokens.colorNeutralForeground2 },
  hash: { fontFamily: tokens.fontFamilyMonospace, color: tokens.colorNeutralForeground3, overflowWrap: "anywhere" },
  package: { display: "flex", flexDirection: "column", gap: "2px" },
});

const uriWrong = (uri: string): boolean => {
  try {
    return !["http:", "https:"].includes(new URL(uri).protocol);
  } catch {
    return true;
  }
};

export function UpdateWizard({ deviceIds, onClose }: { deviceIds: string[]; onClose: () => void }) {
  const styles = useStyles();
  const { t } = useTranslation();
  const navigate = useNavigate();
  const rows = useStore((model) => model.devices.rows);
  const [packages, setPackages] = useState<Package[]>([]);
  const [choice, setChoice] = useState<string | null>(null);
  const [uri, setUri] = useState("");
  const name = useHubName();
  const { error, run } = useTask();
  const [busy, setBusy] = useState<"pick" | "sample" | "start" | null>(null);
  const count = deviceIds.length;
  const offline = deviceIds.filter((id) => rows.get(id)?.connected === false).length;
  const chosen = packages.find((known) => known.id === choice);
  const ready = (choice === URI ? !uriWrong(uri) : chosen !== undefined) && name.named;

  useEffect(() => {
    void run(async () => setPackages(await ipc.listPackages()));
  }, [run]);

  const work = async (kind: "pick" | "sample" | "start", what: () => Promise<void>) => {
    setBusy(kind);
    await run(what);
    setBusy(null);
  };
  const add = (added: Package | null) => {
    if (!added) return;
    setPackages((known) => [added, ...known.filter(({ id }) => id !== added.id)]);
    setChoice(added.id);
  };
  const begin = () =>
    void work("start", async () => {
      const update = await startUpdate(deviceIds, choice === URI ? { kind: "uri", uri } : { kind: "package", id: choice ?? "" });
      onClose();
      void navigate(`/updates/${update.id}`);
    });

  return (
    <FormDialog
      title={t("updates.wizardTitle", { count })}
      submit={t("updates.start", { count })}
      submitTestId="start-update"
      canSubmit={ready}
      running={busy === "start"}
      error={error}
      onSubmit={begin}
      onClose={onClose}
    >
      <Text className={styles.note}>{t("updates.wizardText")}</Text>
      <div className={styles.buttons}>
        <Button
          icon={busy === "pick" ? <Spinner size="tiny" /> : <FolderOpenRegular />}
          disabled={busy !== null}
          onClick={() => void work("pick", async () => add(await ipc.pickPackage()))}
          data-testid="pick-package"
        >
          {t("updates.pick")}
        </Button>
        <Button
          icon={busy === "sample" ? <Spinner size="tiny" /> : <BeakerRegular />}
          disabled={busy !== null}
          onClick={() => void work("sample", async () => add(await ipc.samplePackage()))}
          data-testid="sample-package"
        >
          {t("updates.sample")}
        </Button>
      </div>
      <Field label={t("updates.package")}>
        <RadioGroup value={choice ?? ""} onChange={(_, data) => setChoice(data.value)}>
          {packages.slice(0, LISTED).map((known) => (
            <Radio
              key={known.id}
              value={known.id}
              label={
                <span className={styles.package}>
                  {t("updates.packageLine", { name: known.name, size: formatBytes(known.size) })}
                  {known.id === choice ? (
                    <Text size={200} className={styles.hash}>
                      {t("updates.sha", { sha: known.sha256 })}
                    </Text>
                  ) : null}
                </span>
              }
            />
          ))}
          <Radio value={URI} label={t("updates.fromUri")} data-testid="package-from-uri" />
        </RadioGroup>
      </Field>
      {choice === URI ? (
        <Field label={t("updates.uri")} validationMessage={uri !== "" && uriWrong(uri) ? t("updates.uriWrong") : undefined}>
          <Input
            value={uri}
            placeholder={t("updates.uriPlaceholder")}
            spellCheck={false}
            data-testid="package-uri"
            onChange={(_, data) => setUri(data.value)}
          />
        </Field>
      ) : null}
      {offline > 0 ? <Text>{t("updates.offline", { count: offline })}</Text> : null}
      <HubNameField name={name} />
    </FormDialog>
  );
}

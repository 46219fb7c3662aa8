import { Button, Field, Input, makeStyles, Radio, RadioGroup, Spinner, Text, tokens } from "@fluentui/react-components";
import { BeakerRegular } from "@fluentui/react-icons/svg/beaker";
import { FolderOpenRegular } from "@fluentui/react-icons/svg/folder-open";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { ipc, type Package, type PackageSource } from "../ipc";
import { formatBytes } from "../lib/format";
import { useTask } from "../lib/use-task";
import { ErrorBar } from "./ErrorBar";

const URI = "uri";
const LISTED = 5;

const useStyles = makeStyles({
  buttons: { display: "flex", gap: "8px", flexWrap: "wrap" },
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

export const packageIsChosen = (source: PackageSource | null): boolean => source !== null && (source.kind === "package" || !uriWrong(source.uri));

type Props = { value: PackageSource | null; onChange: (source: PackageSource | null) => void; problem?: string };

/** A package that is known here, a new one from a file, or an address that devices can reach. */
export function PackageField({ value, onChange, problem }: Props) {
  const styles = useStyles();
  const { t } = useTranslation();
  const [packages, setPackages] = useState<Package[]>([]);
  const { error, run } = useTask();
  const [busy, setBusy] = useState<"pick" | "sample" | null>(null);
  const choice = value === null ? "" : value.kind === "uri" ? URI : value.id;
  const uri = value?.kind === "uri" ? value.uri : "";

  useEffect(() => {
    void run(async () => setPackages(await ipc.listPackages()));
  }, [run]);

  const add = async (kind: "pick" | "sample", make: () => Promise<Package | null>) => {
    setBusy(kind);
    await run(async () => {
      const added = await make();
      if (!added) return;
      setPackages((known) => [added, ...known.filter(({ id }) => id !== added.id)]);
      onChange({ kind: "package", id: added.id });
    });
    setBusy(null);
  };

  return (
    <>
      <div className={styles.buttons}>
        <Button
          icon={busy === "pick" ? <Spinner size="tiny" /> : <FolderOpenRegular />}
          disabled={busy !== null}
          onClick={() => void add("pick", ipc.pickPackage)}
          data-testid="pick-package"
        >
          {t("updates.pick")}
        </Button>
        <Button
          icon={busy === "sample" ? <Spinner size="tiny" /> : <BeakerRegular />}
          disabled={busy !== null}
          onClick={() => void add("sample", ipc.samplePackage)}
          data-testid="sample-package"
        >
          {t("updates.sample")}
        </Button>
      </div>
      <Field label={t("updates.package")} validationMessage={problem}>
        <RadioGroup value={choice} onChange={(_, data) => onChange(data.value === URI ? { kind: "uri", uri: "" } : { kind: "package", id: data.value })}>
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
            onChange={(_, data) => onChange({ kind: "uri", uri: data.value })}
          />
        </Field>
      ) : null}
      <ErrorBar error={error} />
    </>
  );
}

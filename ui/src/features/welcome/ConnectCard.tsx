import { Button, ColorSwatch, Field, Input, makeStyles, Spinner, Subtitle1, SwatchPicker, Switch, Text, tokens } from "@fluentui/react-components";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { ErrorBar } from "../../components/ErrorBar";
import { Panel } from "../../components/Panel";
import { useTask } from "../../lib/use-task";
import { addHub } from "../../store/store";
import { CheckResult } from "./CheckResult";
import { useCheck } from "./use-check";

const useStyles = makeStyles({
  form: { display: "flex", flexDirection: "column", gap: "12px" },
  row: { display: "grid", gridTemplateColumns: "minmax(0, 1fr) auto", gap: "16px", alignItems: "start" },
  note: { color: tokens.colorNeutralForeground2 },
  submit: { alignSelf: "flex-start" },
});

export const hubColours = [
  { name: "blue", value: "#0f6cbd" },
  { name: "teal", value: "#038387" },
  { name: "green", value: "#107c10" },
  { name: "gold", value: "#c19c00" },
  { name: "orange", value: "#ca5010" },
  { name: "red", value: "#c50f1f" },
  { name: "purple", value: "#8764b8" },
] as const;
const BLUE = "#0f6cbd";
const RED = "#c50f1f";

export function ConnectCard() {
  const styles = useStyles();
  const { t } = useTranslation();
  const [text, setText] = useState("");
  const [alias, setAlias] = useState<string | null>(null);
  const [colour, setColour] = useState<string | null>(null);
  const [production, setProduction] = useState(false);
  const { running, error, setError, run } = useTask();
  const check = useCheck(text);
  const well = check !== null && check.problem === null;
  const suggested = check?.hostName?.split(".")[0] ?? "";
  const shownAlias = alias ?? suggested;
  const shownColour = colour ?? (production ? RED : BLUE);

  const submit = () =>
    void run(async () => {
      await addHub(text, shownAlias.trim(), shownColour, production);
      setText("");
      setAlias(null);
    });

  return (
    <Panel>
      <Subtitle1 as="h2">{t("welcome.connect.title")}</Subtitle1>
      <form
        className={styles.form}
        onSubmit={(event) => {
          event.preventDefault();
          if (well && !running) submit();
        }}
      >
        <Field label={t("welcome.connect.field")} hint={t("welcome.connect.hint")}>
          <Input
            type="password"
            value={text}
            autoComplete="off"
            spellCheck={false}
            placeholder={t("welcome.connect.placeholder")}
            data-testid="connection-string"
            onChange={(_, data) => {
              setText(data.value);
              setError(null);
            }}
          />
        </Field>
        <CheckResult check={check} />
        {well ? (
          <>
            <div className={styles.row}>
              <Field label={t("welcome.connect.alias")} required>
                <Input value={shownAlias} maxLength={64} data-testid="hub-alias" onChange={(_, data) => setAlias(data.value)} />
              </Field>
              <Field label={t("welcome.connect.colour")}>
                <SwatchPicker
                  size="small"
                  shape="rounded"
                  aria-label={t("welcome.connect.colour")}
                  selectedValue={shownColour}
                  onSelectionChange={(_, data) => setColour(data.selectedValue)}
                >
                  {hubColours.map(({ name, value }) => (
                    <ColorSwatch key={value} color={value} value={value} aria-label={t(`colours.${name}`)} />
                  ))}
                </SwatchPicker>
              </Field>
            </div>
            <Switch
              label={t("welcome.connect.production")}
              checked={production}
              onChange={(_, data) => setProduction(data.checked)}
              data-testid="hub-production"
            />
            {production ? (
              <Text size={200} className={styles.note}>
                {t("welcome.connect.productionText")}
              </Text>
            ) : null}
          </>
        ) : null}
        <Button
          type="submit"
          className={styles.submit}
          appearance="primary"
          disabled={!well || running || shownAlias.trim() === ""}
          icon={running ? <Spinner size="tiny" /> : undefined}
          data-testid="save-hub"
        >
          {running ? t("welcome.connect.running") : t("welcome.connect.submit")}
        </Button>
        <ErrorBar error={error} what={t("errors.connect")} />
      </form>
    </Panel>
  );
}

import { Button, Link, makeStyles, MessageBar, MessageBarBody, Radio, RadioGroup, Subtitle2, Text, tokens } from "@fluentui/react-components";
import { useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { FormDialog } from "../../components/FormDialog";
import { JsonLines } from "../../components/JsonLines";
import { JsonValueText } from "../../components/JsonValueText";
import type { AppError, JsonValue } from "../../ipc";
import { formatBytes } from "../../lib/format";
import { diffToPatch } from "../../lib/json-patch";
import { choiceKey, type Choices, collisions, compare, type Difference, merge, type Side } from "../../lib/three-way";
import { twinSize } from "../../lib/twin-size";

const useStyles = makeStyles({
  part: { display: "flex", flexDirection: "column", gap: "8px" },
  head: { display: "flex", alignItems: "baseline", gap: "12px", flexWrap: "wrap" },
  title: { flexGrow: 1 },
  collision: {
    border: `1px solid ${tokens.colorNeutralStroke2}`,
    borderRadius: tokens.borderRadiusMedium,
    padding: "8px 10px 4px",
    minWidth: 0,
  },
  path: { fontFamily: tokens.fontFamilyMonospace, fontWeight: tokens.fontWeightSemibold, overflowWrap: "anywhere", padding: "0 4px" },
  was: { color: tokens.colorNeutralForeground3, display: "block", paddingLeft: "4px" },
  list: { listStyleType: "none", margin: 0, padding: 0, display: "flex", flexDirection: "column", gap: "4px" },
  item: { display: "flex", flexWrap: "wrap", gap: "2px 8px", alignItems: "baseline" },
  who: { color: tokens.colorNeutralForeground3 },
  patch: { maxHeight: "180px" },
});

type Props = {
  base: JsonValue;
  theirs: JsonValue;
  mine: JsonValue;
  limit: number;
  /** Somebody was faster once more while this was open. */
  again: boolean;
  running: boolean;
  error: AppError | null;
  onClose: () => void;
  /** Back to the editor, with both put together. */
  onTake: (merged: JsonValue) => void;
  /** Null when nothing of mine is left to send. */
  onApply: (patch: JsonValue | null) => void;
};

/** What it was, what somebody else made of it, what I made of it; asks only where both changed the same. */
export function MergeDialog({ base, theirs, mine, limit, again, running, error, onClose, onTake, onApply }: Props) {
  const styles = useStyles();
  const { t } = useTranslation();
  const [choices, setChoices] = useState<Choices>({});
  const differences = useMemo(() => compare(base, theirs, mine), [base, theirs, mine]);
  const asked = collisions(differences);
  const quiet = differences.filter(({ by }) => by !== "collision");
  const left = asked.filter((one) => choices[choiceKey(one)] === undefined).length;
  const merged = useMemo(() => merge(theirs, differences, choices), [theirs, differences, choices]);
  const patch = useMemo(() => (merged === null ? null : diffToPatch(theirs, merged)), [theirs, merged]);
  const size = merged === null ? 0 : twinSize(merged);
  const choose = (which: Difference[], side: Side) =>
    setChoices((known) => ({ ...known, ...Object.fromEntries(which.map((one) => [choiceKey(one), side])) }));

  return (
    <FormDialog
      title={t("merge.title")}
      submit={merged !== null && patch === null ? t("merge.leave") : t("merge.apply")}
      submitTestId="merge-apply"
      canSubmit={merged !== null && size <= limit}
      running={running}
      error={error}
      onClose={onClose}
      onSubmit={() => onApply(patch)}
    >
      {again ? (
        <MessageBar intent="warning" layout="multiline" data-testid="merge-again">
          <MessageBarBody>{t("merge.again")}</MessageBarBody>
        </MessageBar>
      ) : null}
      <Text>{t(asked.length > 0 ? "merge.text" : "merge.textQuiet")}</Text>
      {asked.length > 0 ? (
        <div className={styles.part} data-testid="merge-collisions">
          <div className={styles.head}>
            <Subtitle2 as="h3" className={styles.title}>
              {t("merge.collisions", { count: asked.length })}
            </Subtitle2>
            {asked.length > 1 ? (
              <>
                <Button size="small" onClick={() => choose(asked, "theirs")}>
                  {t("merge.allTheirs")}
                </Button>
                <Button size="small" onClick={() => choose(asked, "mine")}>
                  {t("merge.allMine")}
                </Button>
              </>
            ) : null}
          </div>
          {asked.map((one) => (
            <Collision key={one.path.join(".")} difference={one} chosen={choices[choiceKey(one)]} onChoose={(side) => choose([one], side)} />
          ))}
        </div>
      ) : null}
      {quiet.length > 0 ? (
        <div className={styles.part}>
          <Subtitle2 as="h3">{t("merge.quiet", { count: quiet.length })}</Subtitle2>
          <ul className={styles.list} data-testid="merge-quiet">
            {quiet.map(({ path, base: was, theirs: their, mine: my, by }) => (
              <li key={path.join(".")} className={styles.item}>
                <span className={styles.path}>{path.join(".")}</span>
                <JsonValueText value={was} gone />
                <span aria-label={t("history.becomes")}>→</span>
                <JsonValueText value={by === "mine" ? my : their} />
                <Text size={200} className={styles.who}>
                  {t(`merge.by.${by === "collision" ? "both" : by}`)}
                </Text>
              </li>
            ))}
          </ul>
        </div>
      ) : null}
      <div className={styles.part} aria-live="polite">
        <Subtitle2 as="h3">{t("twin.patch")}</Subtitle2>
        {merged === null ? (
          <Text>{t("merge.left", { count: left })}</Text>
        ) : size > limit ? (
          <Text>{t("twin.tooLarge", { size: formatBytes(size), limit: formatBytes(limit) })}</Text>
        ) : patch === null ? (
          <Text>{t("merge.nothing")}</Text>
        ) : (
          <JsonLines className={styles.patch} value={patch} label={t("twin.patch")} testId="merge-patch" />
        )}
        {merged !== null && patch !== null ? (
          <Text size={200}>
            <Link as="button" type="button" inline onClick={() => onTake(merged)} data-testid="merge-take">
              {t("merge.take")}
            </Link>
          </Text>
        ) : null}
      </div>
    </FormDialog>
  );
}

function Collision({ difference, chosen, onChoose }: { difference: Difference; chosen: Side | undefined; onChoose: (side: Side) => void }) {
  const styles = useStyles();
  const { t } = useTranslation();
  const { base, theirs, mine } = difference;
  const path = difference.path.join(".");
  const side = (name: Side, value: JsonValue | undefined) => (
    <Radio
      value={name}
      data-testid={`merge-${name}`}
      data-path={path}
      label={
        <>
          {t(`merge.${name}`)} <JsonValueText value={value} />
        </>
      }
    />
  );
  return (
    <div className={styles.collision}>
      <span className={styles.path}>{path}</span>
      <Text size={200} className={styles.was}>
        {t("merge.was")} <JsonValueText value={base} />
      </Text>
      <RadioGroup aria-label={path} value={chosen ?? ""} onChange={(_, data) => onChoose(data.value as Side)}>
        {side("theirs", theirs)}
        {side("mine", mine)}
      </RadioGroup>
    </div>
  );
}

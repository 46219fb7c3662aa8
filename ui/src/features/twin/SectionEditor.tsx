import { Button, makeStyles, MessageBar, MessageBarActions, MessageBarBody, Spinner, Text } from "@fluentui/react-components";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { ErrorBar } from "../../components/ErrorBar";
import { JsonEditor } from "../../components/JsonEditor";
import { JsonLines } from "../../components/JsonLines";
import type { TwinSection, TwinView } from "../../ipc";
import { PROPERTIES_LIMIT, pretty, TAGS_LIMIT } from "../../lib/json-text";
import { useTask } from "../../lib/use-task";
import { readTwin, updateTwin } from "../../store/store";
import { draftKey, etagFor, isBehind, rebase, review, setDraft, typed, useDrafts } from "./draft";
import { SectionHead } from "./SectionHead";

const useStyles = makeStyles({
  root: { display: "flex", flexDirection: "column", gap: "8px", minWidth: 0 },
  editor: { "& .cm-editor": { minHeight: "96px", maxHeight: "340px" } },
  patch: { maxHeight: "240px" },
  actions: { display: "flex", gap: "8px", alignItems: "center", flexWrap: "wrap", minHeight: "32px" },
});

export function SectionEditor({ hubId, twin, section }: { hubId: string; twin: TwinView; section: TwinSection }) {
  const styles = useStyles();
  const { t } = useTranslation();
  const key = draftKey(hubId, twin.deviceId, section);
  const draft = useDrafts((store) => store.drafts[key]);
  const [reviewing, setReviewing] = useState(false);
  const [said, setSaid] = useState<string | null>(null);
  const { running, error, setError, run } = useTask();

  const newest = twin[section];
  const behind = draft !== undefined && isBehind(draft, newest);
  const reviewed = draft ? review(draft) : null;
  const refused = error?.code === "PreconditionFailed";
  const isDesired = section === "desired";

  const apply = () =>
    void run(async () => {
      if (!draft || reviewed?.kind !== "patch") return;
      try {
        await updateTwin(twin.deviceId, section, reviewed.patch, etagFor(draft, newest, twin.etag));
        setDraft(key, null);
        setReviewing(false);
        setSaid(t("twin.applied"));
      } catch (thrown) {
        // Whoever was faster has changed the twin: show what it is now beside the refusal.
        await readTwin(twin.deviceId).catch(() => undefined);
        throw thrown;
      }
    });

  const onTop = () => {
    if (draft) setDraft(key, rebase(draft, newest, twin.etag));
    setError(null);
  };
  const discard = () => {
    setDraft(key, null);
    setReviewing(false);
    setError(null);
  };

  return (
    <section className={styles.root} aria-label={t(`twin.${section}`)} data-testid={`twin-${section}-section`}>
      <SectionHead
        title={t(`twin.${section}`)}
        {...(isDesired ? { version: twin.desiredVersion } : {})}
        size={isDesired ? twin.desiredSize : twin.tagsSize}
        limit={isDesired ? PROPERTIES_LIMIT : TAGS_LIMIT}
      />
      <JsonEditor
        className={styles.editor}
        value={draft?.text ?? pretty(newest)}
        label={t("twin.editorLabel", { section: t(`twin.${section}`) })}
        testId={`twin-${section}-editor`}
        numbered
        onChange={(text) => {
          typed(key, text, twin, section);
          setReviewing(false);
          setSaid(null);
          if (!refused) setError(null);
        }}
        onSubmit={() => (reviewing ? apply() : setReviewing(true))}
      />
      {behind || (refused && draft) ? (
        <MessageBar intent="warning" layout="multiline" data-testid="twin-conflict">
          <MessageBarBody>{refused ? t("twin.refused") : t("twin.behind")}</MessageBarBody>
          <MessageBarActions>
            <Button size="small" onClick={onTop} data-testid="twin-rebase">
              {t("twin.onTop")}
            </Button>
          </MessageBarActions>
        </MessageBar>
      ) : null}
      {behind ? (
        <>
          <Text size={200}>{t("twin.newest")}</Text>
          <JsonLines className={styles.patch} value={newest} label={t("twin.newest")} />
        </>
      ) : null}
      {reviewed?.kind === "invalid" ? (
        <Text size={200} role="status">
          {t(`twin.invalid.${reviewed.reason}`, { detail: reviewed.detail })}
        </Text>
      ) : null}
      {reviewing && reviewed?.kind === "patch" ? (
        <>
          <Text size={200}>{t("twin.patchText")}</Text>
          <JsonLines className={styles.patch} value={reviewed.patch} label={t("twin.patch")} testId="twin-patch" />
        </>
      ) : null}
      <ErrorBar error={refused ? null : error} what={t("errors.apply")} onDismiss={() => setError(null)} />
      <div className={styles.actions}>
        {reviewing && reviewed?.kind === "patch" ? (
          <Button
            appearance="primary"
            disabled={running}
            icon={running ? <Spinner size="tiny" /> : undefined}
            onClick={apply}
            data-testid={isDesired ? "twin-apply" : "twin-apply-tags"}
          >
            {t("twin.apply")}
          </Button>
        ) : (
          <Button
            disabled={reviewed?.kind !== "patch"}
            appearance={reviewed?.kind === "patch" ? "primary" : "secondary"}
            onClick={() => setReviewing(true)}
            data-testid={isDesired ? "twin-review" : "twin-review-tags"}
          >
            {t("twin.review")}
          </Button>
        )}
        {draft ? (
          <Button appearance="subtle" disabled={running} onClick={discard}>
            {t("twin.discard")}
          </Button>
        ) : null}
        <Text size={200} role="status">
          {said ?? (reviewed?.kind === "unchanged" ? t("twin.unchanged") : null)}
        </Text>
      </div>
    </section>
  );
}

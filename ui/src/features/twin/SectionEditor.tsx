import { Button, makeStyles, MessageBar, MessageBarActions, MessageBarBody, Spinner, Text } from "@fluentui/react-components";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { ErrorBar } from "../../components/ErrorBar";
import { JsonEditor } from "../../components/JsonEditor";
import { JsonLines } from "../../components/JsonLines";
import type { TwinSection, TwinView } from "../../ipc";
import { formatBytes } from "../../lib/format";
import { applyPatch } from "../../lib/json-patch";
import { parseText, pretty } from "../../lib/json-text";
import { useTask } from "../../lib/use-task";
import { TemplateBar } from "../../components/TemplateBar";
import { applyPatchTo } from "./apply";
import { draftKey, etagFor, isBehind, limitOf, review, setDraft, typed, useDrafts } from "./draft";
import { MergeDialog } from "./MergeDialog";
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
  const [merging, setMerging] = useState(false);
  const [again, setAgain] = useState(false);
  const [said, setSaid] = useState<string | null>(null);
  const { running, error, setError, run } = useTask();

  const newest = twin[section];
  const limit = limitOf(section);
  const behind = draft !== undefined && isBehind(draft, newest);
  const reviewed = draft ? review(draft, limit) : null;
  const isDesired = section === "desired";
  const stored = isDesired ? twin.desiredSize : twin.tagsSize;
  const mine = draft ? parseText(draft.text) : null;

  const applied = () => {
    setDraft(key, null);
    setReviewing(false);
    setMerging(false);
    setAgain(false);
    setSaid(t("twin.applied"));
  };
  const apply = () =>
    void run(async () => {
      if (!draft || reviewed?.kind !== "patch") return;
      const etag = etagFor(draft, newest, twin.etag);
      const ended = await applyPatchTo({ ...twin, etag }, section, reviewed.patch, draft.base);
      if (ended === "applied") applied();
      else setMerging(true);
    });
  const discard = () => {
    setDraft(key, null);
    setReviewing(false);
    setError(null);
  };
  const setText = (text: string) => {
    typed(key, text, twin, section);
    setReviewing(false);
    setSaid(null);
    setError(null);
  };
  const submit = () => {
    if (behind && reviewed?.kind === "patch") setMerging(true);
    else if (reviewing) apply();
    else setReviewing(true);
  };

  return (
    <section className={styles.root} aria-label={t(`twin.${section}`)} data-testid={`twin-${section}-section`}>
      <SectionHead
        title={t(`twin.${section}`)}
        {...(isDesired ? { version: twin.desiredVersion } : {})}
        size={reviewed && reviewed.kind !== "invalid" ? reviewed.size : stored}
        limit={limit}
      />
      <JsonEditor
        className={styles.editor}
        value={draft?.text ?? pretty(newest)}
        label={t("twin.editorLabel", { section: t(`twin.${section}`) })}
        testId={`twin-${section}-editor`}
        numbered
        onChange={setText}
        onSubmit={submit}
      />
      {isDesired ? (
        <TemplateBar
          kind="twin"
          button={t("templates.into")}
          canFill={mine === null || mine.ok}
          onFilled={(_, text) => {
            const patch = parseText(text);
            if (patch.ok) setText(pretty(applyPatch(mine?.ok ? mine.value : newest, patch.value)));
          }}
          draft={
            reviewed?.kind === "patch" ? { name: "", use: { kind: "twin", section }, body: pretty(reviewed.patch), variables: [] } : null
          }
        />
      ) : null}
      {behind ? (
        <MessageBar intent="warning" layout="multiline" data-testid="twin-conflict">
          <MessageBarBody>{reviewed?.kind === "invalid" ? t("twin.behindInvalid") : t("twin.behind")}</MessageBarBody>
          <MessageBarActions>
            <Button
              size="small"
              appearance="primary"
              disabled={reviewed === null || reviewed.kind === "invalid"}
              onClick={() => setMerging(true)}
              data-testid="twin-merge"
            >
              {t("merge.open")}
            </Button>
          </MessageBarActions>
        </MessageBar>
      ) : null}
      {reviewed?.kind === "invalid" ? (
        <Text size={200} role="status">
          {t(`twin.invalid.${reviewed.reason}`, { detail: reviewed.detail })}
        </Text>
      ) : null}
      {reviewed?.kind === "tooLarge" ? (
        <MessageBar intent="error" data-testid="twin-too-large">
          <MessageBarBody>{t("twin.tooLarge", { size: formatBytes(reviewed.size), limit: formatBytes(limit) })}</MessageBarBody>
        </MessageBar>
      ) : null}
      {reviewing && !behind && reviewed?.kind === "patch" ? (
        <>
          <Text size={200}>{t("twin.patchText")}</Text>
          <JsonLines className={styles.patch} value={reviewed.patch} label={t("twin.patch")} testId="twin-patch" />
        </>
      ) : null}
      <ErrorBar error={merging ? null : error} what={t("errors.apply")} onDismiss={() => setError(null)} />
      <div className={styles.actions}>
        {reviewing && !behind && reviewed?.kind === "patch" ? (
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
            disabled={behind || reviewed?.kind !== "patch"}
            appearance={!behind && reviewed?.kind === "patch" ? "primary" : "secondary"}
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
          {said ?? (reviewed?.kind === "unchanged" && !behind ? t("twin.unchanged") : null)}
        </Text>
      </div>
      {merging && draft && mine?.ok ? (
        <MergeDialog
          base={draft.base}
          theirs={newest}
          mine={mine.value}
          limit={limit}
          again={again}
          running={running}
          error={error}
          onClose={() => {
            setMerging(false);
            setAgain(false);
            setError(null);
          }}
          onTake={(merged) => {
            setDraft(key, { text: pretty(merged), base: newest, etag: twin.etag });
            setReviewing(false);
            setMerging(false);
          }}
          onApply={(patch) =>
            void run(async () => {
              if (patch === null || (await applyPatchTo(twin, section, patch, newest)) === "applied") applied();
              else setAgain(true);
            })
          }
        />
      ) : null}
    </section>
  );
}

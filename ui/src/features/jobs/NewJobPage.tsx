import { Button, Field, Input, makeStyles, mergeClasses, MessageBar, MessageBarBody, Spinner, Text, tokens } from "@fluentui/react-components";
import { ArrowLeftRegular } from "@fluentui/react-icons/svg/arrow-left";
import { PlugDisconnectedRegular } from "@fluentui/react-icons/svg/plug-disconnected";
import { useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate, useSearchParams } from "react-router";
import { ErrorBar } from "../../components/ErrorBar";
import { HubNameField, useHubName } from "../../components/HubNameField";
import { PageHeader } from "../../components/PageHeader";
import { Section } from "../../components/Section";
import { StatePanel } from "../../components/StatePanel";
import { type AppError, ipc } from "../../ipc";
import { formatNumber } from "../../lib/format";
import { useNow } from "../../lib/use-now";
import { useMedia } from "../../lib/use-media";
import { useTask } from "../../lib/use-task";
import { useThrottled } from "../../lib/use-throttled";
import { useActiveHub, useStore } from "../../store/store";
import { orderJob, useUi } from "../../store/ui";
import { beginDraft, changeDraft, type Draft, draftOf, emptyDraft, isDestructive, MOST_MINUTES, type Problem, readDraft, runnerOf, targetIsReady, useDrafts, workIsReady } from "./draft";
import { DryRun } from "./DryRun";
import { RunnerForm } from "./RunnerForm";
import { TargetForm } from "./TargetForm";
import { readStart, zoneHere } from "./times";
import { usePreview } from "./use-preview";
import { WhenForm } from "./WhenForm";
import { reviewText } from "./words";
import { WorkForm } from "./WorkForm";

/** How often devices that come and go make the preview be asked again. */
const LOOK_AGAIN = 2000;

const useStyles = makeStyles({
  root: { display: "flex", flexDirection: "column", flexGrow: 1, minHeight: 0 },
  body: { display: "flex", flexGrow: 1, minHeight: 0 },
  narrow: { display: "block", overflow: "auto" },
  form: { flexGrow: 1, flexBasis: "56%", minWidth: 0, overflow: "auto", padding: "4px 20px 20px", display: "flex", flexDirection: "column", gap: "24px" },
  side: {
    flexBasis: "44%",
    flexShrink: 0,
    maxWidth: "560px",
    boxSizing: "border-box",
    overflow: "auto",
    padding: "4px 20px 20px",
    borderLeft: `1px solid ${tokens.colorNeutralStroke2}`,
  },
  whole: { maxWidth: "none", overflow: "visible", borderLeftStyle: "none" },
  foot: {
    display: "flex",
    gap: "8px 16px",
    alignItems: "center",
    flexWrap: "wrap",
    flexShrink: 0,
    padding: "10px 20px",
    borderTop: `1px solid ${tokens.colorNeutralStroke2}`,
    backgroundColor: tokens.colorNeutralBackground2,
  },
  review: { flexGrow: 1, flexBasis: "260px", minWidth: 0, overflowWrap: "anywhere" },
  buttons: { display: "flex", gap: "8px", marginLeft: "auto" },
  confirm: { display: "flex", gap: "16px", flexWrap: "wrap", alignItems: "flex-end", flexBasis: "100%" },
  warning: { flexBasis: "100%" },
  danger: {
    backgroundColor: tokens.colorStatusDangerBackground3,
    color: tokens.colorNeutralForegroundOnBrand,
    ":hover": { backgroundColor: tokens.colorStatusDangerBackground3Hover, color: tokens.colorNeutralForegroundOnBrand },
  },
});

export function NewJobPage() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const hub = useActiveHub()?.hub;
  if (!hub) {
    return (
      <StatePanel icon={<PlugDisconnectedRegular />} title={t("status.noHub")} text={t("jobs.noHub")}>
        <Button appearance="primary" onClick={() => void navigate("/welcome")}>
          {t("updates.toHubs")}
        </Button>
      </StatePanel>
    );
  }
  return <NewJob key={hub.id} hubId={hub.id} />;
}

/** Fills the form from where the person comes from: a selection, or a job to be done again. */
function useOrder(hubId: string) {
  const [params, setParams] = useSearchParams();
  const order = useUi((ui) => ui.jobOrder);
  const { running, error, run } = useTask();
  useEffect(() => {
    beginDraft(hubId);
    if (!order) return;
    orderJob(null);
    changeDraft(order.ids === null ? { target: "all" } : { target: "picked", ids: order.ids, source: order.source });
  }, [hubId, order]);
  const repeat = params.get("repeat");
  const retry = params.get("retry");
  const [asked, setAsked] = useState(0);
  useEffect(() => {
    if (repeat === null && retry === null) return;
    void run(async () => {
      const job = repeat === null ? await ipc.failedJobRequest(retry ?? "") : await ipc.jobRequest(repeat);
      useDrafts.setState({ hubId, draft: draftOf(job, repeat === null ? "failed" : "job") });
      // Coming back to this address must not write over what was changed since.
      setParams({}, { replace: true });
    });
  }, [hubId, repeat, retry, asked, run, setParams]);
  return { running, error, again: () => setAsked((count) => count + 1) };
}

function NewJob({ hubId }: { hubId: string }) {
  const styles = useStyles();
  const { t } = useTranslation();
  const navigate = useNavigate();
  const wide = useMedia("(min-width: 1080px)");
  const order = useOrder(hubId);
  const draft = useDrafts((store) => store.draft);
  const reading = readDraft(draft);
  const { problems } = reading;
  const form = useRef<HTMLFormElement>(null);
  const [tried, setTried] = useState(false);
  const [typedCount, setTypedCount] = useState("");
  const name = useHubName();
  const create = useTask();
  const now = useNow(1000);

  const isReady = workIsReady(problems);
  const counts = useStore((model) => `${model.app?.active?.devices} ${model.app?.active?.connected} ${model.readings}`);
  const news = useThrottled(counts, LOOK_AGAIN);
  const look = usePreview(isReady ? reading.work : null, targetIsReady(problems) ? reading.target : null, runnerOf(draft), news);
  const count = look.preview?.count ?? 0;

  const start = draft.later ? readStart(draft.startAt, draft.utc ? "UTC" : zoneHere(), now) : null;
  const problemAt = (place: typeof look.place) => (look.isFresh && look.place === place ? said(look.preview?.problem ?? null) : undefined);
  const told = (field: keyof Draft) => {
    const problem = field in problems ? problems[field as keyof typeof problems] : undefined;
    return problem && (tried || problem.reason !== "missing") ? problemText(field, problem) : undefined;
  };
  function problemText(field: string, { reason, detail }: Problem): string {
    if (reason === "missing") return t(`jobs.missing.${field as "names"}`);
    if (reason === "range") return field === "minutes" ? t("jobs.wrong.minutes", { most: MOST_MINUTES }) : t(`methods.${field === "connectTimeout" ? "connect" : "response"}Wrong`);
    return t(`jobs.wrong.${reason}`, { detail: reason === "tooLarge" ? formatNumber(Number(detail)) : detail });
  }

  const destructive = isDestructive(draft.kind);
  const startTold = start?.ok === false ? t(`jobs.when.wrong.${start.problem}`) : undefined;
  const valid = Object.keys(problems).length === 0 && start?.ok !== false && look.isFresh && look.preview?.problem === null && count > 0;
  const confirmed = (!destructive || typedCount.replace(/\D/g, "") === String(count)) && name.named;
  const zone = draft.utc ? "UTC" : zoneHere();

  const hasMistake = (look.isFresh && look.place !== null) || startTold !== undefined || Object.values(problems).some(({ reason }) => tried || reason !== "missing");
  const isEmpty = isReady && look.isFresh && look.preview?.count === 0;

  const submit = () => {
    setTried(true);
    if (!valid) {
      // Once it is drawn, the first thing that is wrong may stand outside of what is in sight.
      setTimeout(() => form.current?.querySelector<HTMLElement>("[aria-invalid=true]")?.focus());
    }
    if (!valid || !confirmed || create.running || order.running) return;
    void create.run(async () => {
      try {
        const job = await ipc.createJob({
          work: reading.work,
          target: reading.target,
          runner: runnerOf(draft),
          startAt: start?.ok ? new Date(start.ms).toISOString() : null,
          maxMinutes: reading.minutes,
          expected: count,
        });
        useDrafts.setState({ draft: emptyDraft });
        await navigate(`/jobs/${encodeURIComponent(job.id)}`, { replace: true });
      } catch (thrown) {
        // There may be other devices by now: count them again, and let the person confirm that.
        setTypedCount("");
        look.retry();
        throw thrown;
      }
    });
  };
  const review = isReady && look.isFresh && count > 0 && look.preview?.problem === null && start?.ok !== false ? reviewText(reading.work, count, start?.ok ? start.ms : null, reading.minutes, now, zone) : null;

  const dryRun = (
    <>
      <ErrorBar error={look.error} what={t("errors.preview")} onRetry={look.retry} />
      <DryRun preview={look.preview} isFresh={look.isFresh} isTwin={draft.kind === "updateTwin"} isMistake={look.place === "target"} />
    </>
  );
  return (
    // Ctrl+Enter works from every field of the form, so the form itself hears it.
    // eslint-disable-next-line jsx-a11y/no-noninteractive-element-interactions
    <form
      ref={form}
      className={styles.root}
      data-testid="new-job-form"
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
      onKeyDown={(event) => {
        if (event.key !== "Enter" || event.defaultPrevented) return;
        // Enter in a field is not yet a decision about many devices.
        if (!(event.ctrlKey || event.metaKey) && !(event.target instanceof HTMLInputElement)) return;
        event.preventDefault();
        if (event.ctrlKey || event.metaKey) submit();
      }}
    >
      <PageHeader title={t("jobs.new")} sub={t("jobs.newSub")}>
        <Button size="small" appearance="subtle" icon={<ArrowLeftRegular />} onClick={() => void navigate("/jobs")}>
          {t("jobs.all")}
        </Button>
      </PageHeader>
      <div className={mergeClasses(styles.body, !wide && styles.narrow)}>
        <div className={mergeClasses(styles.form, !wide && styles.whole)}>
          <ErrorBar error={order.error} what={t("errors.jobRequest")} onRetry={order.again} />
          <Section title={t("jobs.what.title")}>
            <WorkForm draft={draft} told={told} onSubmit={submit} />
            <PlacedProblem text={problemAt("work")} />
          </Section>
          <Section title={t("jobs.on.title")}>
            <TargetForm draft={draft} problem={problemAt("target") ?? told(draft.target === "picked" ? "ids" : "condition")} />
          </Section>
          {wide ? null : dryRun}
          <Section title={t("jobs.who.title")}>
            <RunnerForm draft={draft} problem={problemAt("runner")} />
          </Section>
          <Section title={t("jobs.when.title")}>
            <WhenForm draft={draft} told={startTold} minutesTold={told("minutes")} />
          </Section>
        </div>
        {wide ? <div className={styles.side}>{dryRun}</div> : null}
      </div>
      <footer className={styles.foot}>
        {destructive && look.isFresh && count > 0 ? (
          <>
            <MessageBar intent="warning" layout="multiline" className={styles.warning} data-testid="job-danger">
              <MessageBarBody>
                {t(`jobs.danger.${draft.kind as "delete"}`, { count })} {draft.later && draft.target !== "picked" ? t("jobs.danger.later") : null}
              </MessageBarBody>
            </MessageBar>
            <div className={styles.confirm}>
              <Field label={t("jobs.danger.type", { count })} required>
                <Input value={typedCount} inputMode="numeric" onChange={(_, data) => setTypedCount(data.value)} data-testid="job-confirm-count" />
              </Field>
              <HubNameField name={name} />
            </div>
          </>
        ) : name.asked && valid ? (
          <div className={styles.confirm}>
            <HubNameField name={name} />
          </div>
        ) : null}
        {create.error ? (
          <div className={styles.warning}>
            <ErrorBar error={create.error} what={t("errors.createJob")} onDismiss={() => create.setError(null)} />
          </div>
        ) : null}
        <Text weight="semibold" className={styles.review} aria-live="polite" data-testid="job-review">
          {review ?? t(`jobs.review.${hasMistake ? "wrong" : isEmpty ? "noDevice" : "notYet"}`)}
        </Text>
        <div className={styles.buttons}>
          <Button onClick={() => useDrafts.setState({ draft: emptyDraft })} data-testid="job-clear">
            {t("jobs.clear")}
          </Button>
          <Button
            type="submit"
            appearance="primary"
            className={mergeClasses(destructive && valid && confirmed && styles.danger)}
            disabledFocusable={create.running || order.running || (valid && !confirmed)}
            icon={create.running ? <Spinner size="tiny" /> : undefined}
            data-testid="job-create"
            data-ready={valid && confirmed}
          >
            {draft.later ? t("jobs.schedule") : t("jobs.run")}
          </Button>
        </div>
      </footer>
    </form>
  );
}

const said = (error: AppError | null): string | undefined => (error ? [error.message, error.hint].filter(Boolean).join(" ") : undefined);

function PlacedProblem({ text }: { text: string | undefined }) {
  return text ? (
    <MessageBar intent="error" layout="multiline" data-testid="job-work-problem">
      <MessageBarBody>{text}</MessageBarBody>
    </MessageBar>
  ) : null;
}

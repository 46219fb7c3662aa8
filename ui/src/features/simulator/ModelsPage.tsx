import { Badge, Button, makeStyles, mergeClasses, Skeleton, SkeletonItem, Text, tokens } from "@fluentui/react-components";
import { AddRegular } from "@fluentui/react-icons/svg/add";
import { ArrowLeftRegular } from "@fluentui/react-icons/svg/arrow-left";
import { ErrorCircleRegular } from "@fluentui/react-icons/svg/error-circle";
import { useCallback, useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { Navigate, NavLink, useNavigate, useParams } from "react-router";
import { ErrorState } from "../../components/ErrorState";
import { PageHeader } from "../../components/PageHeader";
import { type DeviceModel, ipc } from "../../ipc";
import { useDelayed } from "../../lib/use-delayed";
import { useTask } from "../../lib/use-task";
import { keepModelText, useUi } from "../../store/ui";
import { ModelEditor } from "./ModelEditor";
import { NEW_MODEL, templateOf } from "./new-model";

const useStyles = makeStyles({
  root: { display: "flex", flexDirection: "column", flexGrow: 1, minHeight: 0 },
  body: { display: "flex", flexGrow: 1, minHeight: 0, borderTop: `1px solid ${tokens.colorNeutralStroke2}` },
  side: {
    width: "clamp(168px, 24%, 280px)",
    flexShrink: 0,
    overflowY: "auto",
    padding: "8px",
    boxSizing: "border-box",
    borderRight: `1px solid ${tokens.colorNeutralStroke2}`,
  },
  list: { listStyleType: "none", margin: 0, padding: 0 },
  heading: { display: "block", padding: "8px 12px 4px", color: tokens.colorNeutralForeground3 },
  item: {
    display: "flex",
    alignItems: "center",
    gap: "6px",
    padding: "6px 12px",
    borderRadius: tokens.borderRadiusMedium,
    color: "inherit",
    textDecorationLine: "none",
    ":hover": { backgroundColor: tokens.colorSubtleBackgroundHover },
    ":focus-visible": { outline: `2px solid ${tokens.colorStrokeFocus2}`, outlineOffset: "-2px" },
  },
  here: { backgroundColor: tokens.colorSubtleBackgroundSelected, boxShadow: `inset 3px 0 0 ${tokens.colorBrandStroke1}` },
  title: { overflow: "hidden", textOverflow: "ellipsis", whiteSpace: "nowrap", flexGrow: 1 },
  bad: { color: tokens.colorPaletteRedForeground1, flexShrink: 0 },
  none: { display: "block", padding: "4px 12px", color: tokens.colorNeutralForeground3 },
  skeleton: { padding: "12px 20px", display: "flex", flexDirection: "column", gap: "14px" },
  main: { flexGrow: 1, minWidth: 0, minHeight: 0, display: "flex", flexDirection: "column" },
});

/** What devices can be: those that come with the application, and the person's own. */
export function ModelsPage() {
  const styles = useStyles();
  const { t } = useTranslation();
  const navigate = useNavigate();
  const { model: reference } = useParams();
  const [models, setModels] = useState<DeviceModel[] | null>(null);
  const texts = useUi((ui) => ui.modelTexts);
  const { error, run } = useTask();
  const slow = useDelayed(models === null && error === null);
  const read = useCallback(() => run(async () => setModels(await ipc.listModels())), [run]);
  useEffect(() => {
    void read();
  }, [read]);

  const path = (model: string) => `/simulator/models/${encodeURIComponent(model)}`;
  const open = (model: string) => void navigate(path(model));
  const begin = () => {
    if (texts[NEW_MODEL] === undefined) keepModelText(NEW_MODEL, templateOf((models ?? []).map((model) => model.reference)));
    open(NEW_MODEL);
  };
  const item = (key: string, title: string, problem: boolean) => (
    <li key={key}>
      <NavLink to={path(key)} className={({ isActive }) => mergeClasses(styles.item, isActive && styles.here)} data-testid="model" data-model={key}>
        <span className={styles.title} title={title}>
          {title}
        </span>
        {texts[key] === undefined ? null : (
          <Badge size="small" appearance="tint" color="brand">
            {t("models.unsaved")}
          </Badge>
        )}
        {problem ? <ErrorCircleRegular className={styles.bad} aria-label={t("models.wrong")} /> : null}
      </NavLink>
    </li>
  );
  const own = models?.filter(({ builtIn }) => !builtIn) ?? [];
  const shown = models?.find((model) => model.reference === reference);
  const isNew = reference === NEW_MODEL && texts[NEW_MODEL] !== undefined;
  return (
    <div className={styles.root}>
      <PageHeader title={t("models.title")} sub={t("models.sub")}>
        <Button appearance="primary" icon={<AddRegular />} disabled={models === null} onClick={begin} data-testid="new-model">
          {t("models.new")}
        </Button>
        <Button icon={<ArrowLeftRegular />} onClick={() => void navigate("/simulator")}>
          {t("nav.simulator")}
        </Button>
      </PageHeader>
      {models === null ? (
        error ? (
          <ErrorState error={error} what={t("errors.models")} onRetry={() => void read()} />
        ) : slow ? (
          <Skeleton className={styles.skeleton} aria-label={t("common.loading")}>
            <SkeletonItem size={32} />
            <SkeletonItem size={32} />
          </Skeleton>
        ) : null
      ) : (
        <div className={styles.body}>
          <nav className={styles.side} aria-label={t("models.title")}>
            <Text size={200} className={styles.heading}>
              {t("models.own")}
            </Text>
            <ul className={styles.list}>
              {texts[NEW_MODEL] === undefined ? null : item(NEW_MODEL, t("models.newTitle"), false)}
              {own.map((model) => item(model.reference, model.title, model.problem !== null))}
            </ul>
            {own.length === 0 && texts[NEW_MODEL] === undefined ? (
              <Text size={200} className={styles.none}>
                {t("models.none")}
              </Text>
            ) : null}
            <Text size={200} className={styles.heading}>
              {t("models.builtIn")}
            </Text>
            <ul className={styles.list}>{models.filter(({ builtIn }) => builtIn).map((model) => item(model.reference, model.title, false))}</ul>
          </nav>
          <section className={styles.main}>
            {shown || isNew ? (
              <ModelEditor
                key={reference}
                model={shown ?? null}
                taken={models.map((model) => model.reference)}
                onChanged={async (next) => {
                  await read();
                  if (next !== reference) void navigate(next === null ? "/simulator/models" : path(next), { replace: true });
                }}
                onDuplicate={(text) => {
                  keepModelText(NEW_MODEL, text);
                  open(NEW_MODEL);
                }}
              />
            ) : models[0] ? (
              <Navigate to={path(own[0]?.reference ?? models[0].reference)} replace />
            ) : null}
          </section>
        </div>
      )}
    </div>
  );
}

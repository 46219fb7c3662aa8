import { Button, makeStyles, Spinner, Subtitle1, Text, tokens } from "@fluentui/react-components";
import { PlayRegular } from "@fluentui/react-icons/svg/play";
import { CheckmarkRegular } from "@fluentui/react-icons/svg/checkmark";
import { useTranslation } from "react-i18next";
import { useNavigate } from "react-router";
import { ErrorBar } from "../../components/ErrorBar";
import { Panel } from "../../components/Panel";
import { useTask } from "../../lib/use-task";
import { openHub, startLocalHub, useStore } from "../../store/store";

const useStyles = makeStyles({
  list: { listStyleType: "none", margin: 0, padding: 0, display: "flex", flexDirection: "column", gap: "6px" },
  item: { display: "flex", gap: "8px", alignItems: "center", "& svg": { color: tokens.colorBrandForeground1, flexShrink: 0 } },
  button: { alignSelf: "flex-start" },
});

const points = ["account", "devices", "sdk"] as const;

export function LocalHubCard() {
  const styles = useStyles();
  const { t } = useTranslation();
  const navigate = useNavigate();
  const { running, error, run } = useTask();
  const local = useStore((model) => model.app?.localHub);
  const hub = useStore((model) => model.app?.hubs.find((known) => known.kind === "local"));
  const isOpen = useStore((model) => model.app?.active?.hub.kind === "local");
  const runs = local?.status === "running";
  const busy = running || local?.status === "starting";

  const onClick = () => {
    if (isOpen) void navigate("/devices");
    else if (runs && hub) void run(() => openHub(hub.id));
    else void run(startLocalHub);
  };
  return (
    <Panel primary>
      <Subtitle1 as="h2">{t("welcome.local.title")}</Subtitle1>
      <Text>{t("welcome.local.text")}</Text>
      <ul className={styles.list}>
        {points.map((point) => (
          <li key={point} className={styles.item}>
            <CheckmarkRegular aria-hidden />
            <Text>{t(`welcome.local.${point}`)}</Text>
          </li>
        ))}
      </ul>
      <Button
        className={styles.button}
        appearance="primary"
        size="large"
        disabled={busy}
        icon={busy ? <Spinner size="tiny" /> : <PlayRegular />}
        onClick={onClick}
        data-testid="start-local-hub"
      >
        {busy ? t("localHub.starting") : runs ? t("welcome.local.open") : t("localHub.start")}
      </Button>
      <ErrorBar error={error ?? local?.error ?? null} what={t("errors.localHubStart")} />
    </Panel>
  );
}

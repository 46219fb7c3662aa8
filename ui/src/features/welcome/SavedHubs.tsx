import { Button, makeStyles, Subtitle2, Text, tokens } from "@fluentui/react-components";
import { DeleteRegular } from "@fluentui/react-icons/svg/delete";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate } from "react-router";
import { ErrorBar } from "../../components/ErrorBar";
import { ForgetHubDialog } from "../../components/ForgetHubDialog";
import { HubSwatch, ProductionMark } from "../../components/HubMark";
import type { SavedHub } from "../../ipc";
import { useTask } from "../../lib/use-task";
import { openHub, useActiveHub, useStore } from "../../store/store";

const useStyles = makeStyles({
  list: { listStyleType: "none", margin: "8px 0 0", padding: 0, display: "flex", flexDirection: "column" },
  item: {
    display: "flex",
    alignItems: "center",
    gap: "12px",
    padding: "8px 12px",
    borderTop: `1px solid ${tokens.colorNeutralStroke2}`,
    ":last-child": { borderBottom: `1px solid ${tokens.colorNeutralStroke2}` },
  },
  names: { display: "flex", flexDirection: "column", minWidth: 0, flexGrow: 1 },
  first: { display: "flex", gap: "8px", alignItems: "center" },
  sub: { color: tokens.colorNeutralForeground3 },
});

const none: SavedHub[] = [];

export function SavedHubs() {
  const styles = useStyles();
  const { t } = useTranslation();
  const navigate = useNavigate();
  const hubs = useStore((model) => model.app?.hubs ?? none);
  const active = useActiveHub();
  const [forgetting, setForgetting] = useState<SavedHub | null>(null);
  const { running, error, run } = useTask();
  if (hubs.length === 0) return null;
  return (
    <section aria-labelledby="saved-hubs">
      <Subtitle2 as="h2" id="saved-hubs">
        {t("hubs.saved")}
      </Subtitle2>
      <ErrorBar error={error} what={t("errors.open")} />
      <ul className={styles.list}>
        {hubs.map((hub) => {
          const open = hub.id === active?.hub.id;
          return (
            <li key={hub.id} className={styles.item} data-testid="saved-hub" data-hub-id={hub.id}>
              <HubSwatch colour={hub.colour} />
              <div className={styles.names}>
                <span className={styles.first}>
                  <Text weight="semibold">{hub.alias}</Text>
                  {hub.production ? <ProductionMark /> : null}
                </span>
                <Text size={200} className={styles.sub}>
                  {t("hubs.line", { host: hub.hostName, policy: hub.policy })} · {t(`hubs.place.${hub.secretPlace}`)}
                </Text>
              </div>
              <Button
                size="small"
                disabled={running}
                onClick={() => (open ? void navigate("/devices") : void run(() => openHub(hub.id)))}
                aria-label={t("hubs.openNamed", { alias: hub.alias })}
                data-testid="open-hub"
              >
                {open ? t("hubs.show") : t("hubs.openAction")}
              </Button>
              {hub.kind === "remote" ? (
                <Button
                  size="small"
                  appearance="subtle"
                  icon={<DeleteRegular />}
                  aria-label={t("hubs.forgetThis", { alias: hub.alias })}
                  data-testid="forget-hub"
                  onClick={() => setForgetting(hub)}
                />
              ) : null}
            </li>
          );
        })}
      </ul>
      {forgetting ? <ForgetHubDialog hub={forgetting} onClose={() => setForgetting(null)} /> : null}
    </section>
  );
}

import { makeStyles, MessageBar, MessageBarBody, MessageBarTitle, tokens } from "@fluentui/react-components";
import { useTranslation } from "react-i18next";
import type { FleetLoad } from "../ipc";
import { formatNumber } from "../lib/format";

const useStyles = makeStyles({
  facts: { margin: "4px 0 0", display: "grid", gridTemplateColumns: "auto minmax(0, 1fr)", gap: "2px 12px" },
  value: { margin: 0, fontWeight: tokens.fontWeightSemibold, fontVariantNumeric: "tabular-nums" },
});

/** What running these devices asks of a hub in Azure. */
export function LoadNotice({ load, host }: { load: FleetLoad; host: string }) {
  const styles = useStyles();
  const { t } = useTranslation();
  const facts = [
    [t("load.devices"), formatNumber(load.devices)],
    [t("load.messages"), formatNumber(load.messagesPerDay)],
    [t("load.connects"), t("load.perSecond", { rate: load.connectsPerSecond })],
    [t("load.tier"), load.tooMuch ? t("load.tooMuch") : t("load.tierText", { tier: load.tier, count: load.units })],
  ];
  return (
    <MessageBar intent="warning" layout="multiline" data-testid="load-notice" data-devices={load.devices} data-messages={load.messagesPerDay}>
      <MessageBarBody>
        <MessageBarTitle>{t("load.title", { host })}</MessageBarTitle>
        {t("load.text")}
        <dl className={styles.facts}>
          {facts.flatMap(([name, value]) => [
            <dt key={name}>{name}</dt>,
            <dd key={`${name}-value`} className={styles.value}>
              {value}
            </dd>,
          ])}
        </dl>
      </MessageBarBody>
    </MessageBar>
  );
}

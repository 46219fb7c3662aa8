import { Button, makeStyles, tokens } from "@fluentui/react-components";
import { BracesRegular } from "@fluentui/react-icons/svg/braces";
import { DismissRegular } from "@fluentui/react-icons/svg/dismiss";
import { HourglassHalfRegular } from "@fluentui/react-icons/svg/hourglass-half";
import { useEffect } from "react";
import { useTranslation } from "react-i18next";
import { useSearchParams } from "react-router";
import { ErrorBar } from "../../components/ErrorBar";
import type { LineLook } from "../../components/LogLines";
import { LogView } from "../../components/LogView";
import { Section } from "../../components/Section";
import { StatePanel } from "../../components/StatePanel";
import type { LineKind, ProtocolLine } from "../../ipc";
import { useTask } from "../../lib/use-task";
import { clearProtocol, unwatchProtocol, useStore, watchProtocol } from "../../store/store";
import { DevicePicker } from "./DevicePicker";
import { Refusals } from "./Refusals";

const useStyles = makeStyles({
  bar: { display: "flex", gap: "8px", alignItems: "end", flexWrap: "wrap" },
  empty: { border: `1px dashed ${tokens.colorNeutralStroke2}`, borderRadius: tokens.borderRadiusMedium },
});

const NONE: ProtocolLine[] = [];
const tones = { received: "plain", sent: "brand", closed: "quiet", refused: "bad" } as const;

export function ProtocolLog() {
  const { t } = useTranslation();
  const styles = useStyles();
  // In the address, so that a device can be linked to and Back leaves it.
  const [search, setSearch] = useSearchParams();
  const device = search.get("device") ?? "";
  const watch = (id: string) => setSearch(id === "" ? {} : { device: id });
  return (
    <>
      <Section title={t("localHub.protocol.title")} text={t("localHub.protocol.text")}>
        {device === "" ? (
          <>
            <div className={styles.bar}>
              <Picker device={device} onPick={watch} />
            </div>
            <div className={styles.empty}>
              <StatePanel icon={<BracesRegular />} title={t("localHub.protocol.none")} text={t("localHub.protocol.noneText")} />
            </div>
          </>
        ) : (
          <Watched key={device} device={device} onPick={watch} />
        )}
      </Section>
      <Refusals onWatch={watch} />
    </>
  );
}

function Picker({ device, onPick }: { device: string; onPick: (id: string) => void }) {
  const { t } = useTranslation();
  return (
    <DevicePicker
      label={t("localHub.protocol.pick")}
      hint={t("localHub.protocol.pickHint")}
      value={device}
      onPick={onPick}
      testId="protocol-device"
    />
  );
}

function Watched({ device, onPick }: { device: string; onPick: (id: string) => void }) {
  const styles = useStyles();
  const { t } = useTranslation();
  const { error, run } = useTask();
  const lines = useStore((model) => (model.protocol?.clientId === device ? model.protocol.lines : NONE));
  useEffect(() => {
    void run(() => watchProtocol(device));
    return unwatchProtocol;
  }, [device, run]);
  const look = (kind: LineKind): LineLook => ({
    mark: t(`localHub.protocol.arrows.${kind}`),
    label: t(`localHub.protocol.kinds.${kind}`),
    tone: tones[kind],
  });
  return (
    <LogView
      lines={lines}
      label={t("localHub.protocol.lines", { id: device })}
      look={look}
      onClear={clearProtocol}
      testId="protocol"
      start={
        <>
          <Picker device={device} onPick={onPick} />
          <Button appearance="subtle" icon={<DismissRegular />} onClick={() => onPick("")}>
            {t("localHub.protocol.stopWatching")}
          </Button>
        </>
      }
      error={<ErrorBar error={error} what={t("errors.protocol", { id: device })} onRetry={() => void run(() => watchProtocol(device))} />}
      empty={
        error ? null : (
          <div className={styles.empty}>
            <StatePanel icon={<HourglassHalfRegular />} title={t("localHub.protocol.waiting")} text={t("localHub.protocol.waitingText", { id: device })} />
          </div>
        )
      }
    />
  );
}

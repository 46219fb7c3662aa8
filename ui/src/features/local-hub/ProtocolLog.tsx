import { Button, makeStyles, Text, tokens } from "@fluentui/react-components";
import { BracesRegular } from "@fluentui/react-icons/svg/braces";
import { CopyRegular } from "@fluentui/react-icons/svg/copy";
import { DeleteRegular } from "@fluentui/react-icons/svg/delete";
import { DismissRegular } from "@fluentui/react-icons/svg/dismiss";
import { HourglassHalfRegular } from "@fluentui/react-icons/svg/hourglass-half";
import { PauseRegular } from "@fluentui/react-icons/svg/pause";
import { PlayRegular } from "@fluentui/react-icons/svg/play";
import { useEffect, useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { useSearchParams } from "react-router";
import { ErrorBar } from "../../components/ErrorBar";
import { StatePanel } from "../../components/StatePanel";
import type { ProtocolLine } from "../../ipc";
import { copyText } from "../../lib/clipboard";
import { useTask } from "../../lib/use-task";
import { rowsOf } from "../../store/local-hub";
import { clearProtocol, unwatchProtocol, useStore, watchProtocol } from "../../store/store";
import { DevicePicker } from "./DevicePicker";
import { ProtocolLines } from "./ProtocolLines";
import { Refusals } from "./Refusals";
import { Section } from "./Section";

const useStyles = makeStyles({
  bar: { display: "flex", gap: "8px", alignItems: "end", flexWrap: "wrap" },
  space: { flexGrow: 1 },
  count: { color: tokens.colorNeutralForeground2, lineHeight: "32px" },
  empty: { border: `1px dashed ${tokens.colorNeutralStroke2}`, borderRadius: tokens.borderRadiusMedium },
});

const NONE: ProtocolLine[] = [];

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
  const live = useStore((model) => (model.protocol?.clientId === device ? model.protocol.lines : NONE));
  /** What was there when the person paused; the store goes on. */
  const [paused, setPaused] = useState<ProtocolLine[] | null>(null);
  useEffect(() => {
    void run(() => watchProtocol(device));
    return unwatchProtocol;
  }, [device, run]);
  const lines = paused ?? live;
  const rows = useMemo(() => rowsOf(lines), [lines]);
  const newer = (live.at(-1)?.sequence ?? -1) - (paused?.at(-1)?.sequence ?? -1);
  const toggle = () => setPaused(paused === null ? live : null);
  const clear = () => {
    clearProtocol();
    setPaused(paused && []);
  };
  const copy = () => copyText(lines.map((line) => `${line.at} ${t(`localHub.protocol.arrows.${line.kind}`)} ${line.text}`).join("\n"));
  return (
    <>
      <div className={styles.bar}>
        <Picker device={device} onPick={onPick} />
        <Button appearance="subtle" icon={<DismissRegular />} onClick={() => onPick("")}>
          {t("localHub.protocol.stopWatching")}
        </Button>
        <span className={styles.space} />
        <Text size={200} className={styles.count} data-testid="protocol-count">
          {paused && newer > 0 ? t("localHub.protocol.paused", { count: newer }) : t("localHub.protocol.count", { count: lines.length })}
        </Text>
        <Button icon={paused ? <PlayRegular /> : <PauseRegular />} disabled={live.length === 0 && !paused} onClick={toggle} data-testid="protocol-pause">
          {t(paused ? "localHub.protocol.resume" : "localHub.protocol.pause")}
        </Button>
        <Button icon={<DeleteRegular />} disabled={lines.length === 0} onClick={clear} data-testid="protocol-clear">
          {t("localHub.protocol.clear")}
        </Button>
        <Button icon={<CopyRegular />} disabled={lines.length === 0} onClick={() => void copy()} data-testid="protocol-copy">
          {t("localHub.protocol.copy")}
        </Button>
      </div>
      <ErrorBar error={error} what={t("errors.protocol", { id: device })} onRetry={() => void run(() => watchProtocol(device))} />
      {rows.length > 0 ? (
        <ProtocolLines rows={rows} label={t("localHub.protocol.lines", { id: device })} onPause={toggle} />
      ) : error ? null : (
        <div className={styles.empty}>
          <StatePanel icon={<HourglassHalfRegular />} title={t("localHub.protocol.waiting")} text={t("localHub.protocol.waitingText", { id: device })} />
        </div>
      )}
    </>
  );
}

import { Dialog, DialogSurface, Input, makeStyles, mergeClasses, Text, tokens } from "@fluentui/react-components";
import { SearchRegular } from "@fluentui/react-icons/svg/search";
import { useDeferredValue, useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { findDevices } from "./palette-search";
import { type PaletteEntry, usePaletteActions } from "./palette-actions";
import { useNavigate } from "react-router";
import { useStore } from "../store/store";

const useStyles = makeStyles({
  surface: { padding: "8px", maxWidth: "560px", alignSelf: "start", marginTop: "72px" },
  input: { width: "100%" },
  list: { margin: "6px 0 0", padding: 0, listStyleType: "none", maxHeight: "50vh", overflow: "auto" },
  group: { color: tokens.colorNeutralForeground3, padding: "8px 10px 2px", display: "block" },
  option: { padding: "7px 10px", borderRadius: tokens.borderRadiusMedium, cursor: "pointer", display: "flex", gap: "12px" },
  current: { backgroundColor: tokens.colorNeutralBackground1Selected, color: tokens.colorNeutralForeground1Selected, boxShadow: `inset 3px 0 0 ${tokens.colorBrandStroke1}` },
  note: { marginLeft: "auto", color: tokens.colorNeutralForeground3 },
  empty: { padding: "16px 10px", color: tokens.colorNeutralForeground3 },
});

export function Palette({ onClose }: { onClose: () => void }) {
  const styles = useStyles();
  const { t } = useTranslation();
  const navigate = useNavigate();
  const [text, setText] = useState("");
  const wanted = useDeferredValue(text);
  const [current, setCurrent] = useState(0);
  const ids = useStore((model) => model.devices.ids);
  const actions = usePaletteActions();
  const list = useRef<HTMLUListElement>(null);

  const lower = wanted.trim().toLowerCase();
  const entries: PaletteEntry[] = [
    ...findDevices(ids, wanted).map((id) => ({
      id: `device/${id}`,
      group: "devices" as const,
      label: id,
      run: () => void navigate(`/devices/${encodeURIComponent(id)}`),
    })),
    ...actions.filter((action) => action.label.toLowerCase().includes(lower)),
  ];
  const at = Math.min(current, entries.length - 1);

  useEffect(() => {
    list.current?.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest" });
  }, [at]);

  const choose = (entry: PaletteEntry | undefined) => {
    if (!entry) return;
    // Closed first: what is chosen may open a dialog of its own.
    onClose();
    entry.run();
  };

  return (
    <Dialog open onOpenChange={(_, data) => !data.open && onClose()}>
      <DialogSurface className={styles.surface} aria-label={t("palette.title")} data-testid="palette">
        <Input
          className={styles.input}
          size="large"
          appearance="filled-darker"
          contentBefore={<SearchRegular />}
          placeholder={t("palette.placeholder")}
          value={text}
          role="combobox"
          aria-expanded
          aria-controls="palette-list"
          aria-activedescendant={entries[at] ? `palette-${at}` : undefined}
          aria-label={t("palette.title")}
          data-testid="palette-input"
          onChange={(_, data) => {
            setText(data.value);
            setCurrent(0);
          }}
          onKeyDown={(event) => {
            if (event.key === "ArrowDown") setCurrent((at + 1) % Math.max(1, entries.length));
            else if (event.key === "ArrowUp") setCurrent((at - 1 + entries.length) % Math.max(1, entries.length));
            else if (event.key === "Enter") choose(entries[at]);
            else return;
            event.preventDefault();
          }}
        />
        <ul className={styles.list} role="listbox" id="palette-list" aria-label={t("palette.results")} ref={list}>
          {entries.map((entry, index) => (
            <li key={entry.id} role="presentation">
              {entry.group !== entries[index - 1]?.group ? (
                <Text size={200} className={styles.group}>
                  {t(`palette.groups.${entry.group}`)}
                </Text>
              ) : null}
              {/* The keyboard reaches the options through the text field above. */}
              {/* eslint-disable-next-line jsx-a11y/click-events-have-key-events */}
              <div
                id={`palette-${index}`}
                role="option"
                tabIndex={-1}
                aria-selected={index === at}
                className={mergeClasses(styles.option, index === at && styles.current)}
                onClick={() => choose(entry)}
                onMouseMove={() => setCurrent(index)}
              >
                {entry.label}
                {entry.note ? (
                  <Text size={200} className={styles.note}>
                    {entry.note}
                  </Text>
                ) : null}
              </div>
            </li>
          ))}
        </ul>
        {entries.length === 0 ? (
          <Text className={styles.empty} role="status">
            {t("palette.nothing", { text: wanted })}
          </Text>
        ) : null}
      </DialogSurface>
    </Dialog>
  );
}

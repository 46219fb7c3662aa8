import { makeStyles, mergeClasses, Text, tokens } from "@fluentui/react-components";
import { type KeyboardEvent, type MouseEvent, useEffect, useMemo, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import type { SimulatedState } from "../../ipc";
import { useMedia } from "../../lib/use-media";
import { useSize } from "../../lib/use-size";
import type { Dots } from "../../store/fleets";
import { useStore } from "../../store/store";
import { dotAt, layoutDots, moveDot, placesOf } from "./dots";
import { makeStamps, paintDots, type Stamps } from "./paint";

const useStyles = makeStyles({
  root: { display: "flex", flexDirection: "column", flexGrow: 1, minHeight: "160px", gap: "4px" },
  scroller: {
    position: "relative",
    flexGrow: 1,
    flexBasis: 0,
    minHeight: "120px",
    overflowY: "auto",
    overflowX: "hidden",
    border: `1px solid ${tokens.colorNeutralStroke2}`,
    borderRadius: tokens.borderRadiusMedium,
    cursor: "pointer",
    ":focus-visible": { outline: `2px solid ${tokens.colorStrokeFocus2}`, outlineOffset: "-2px" },
  },
  body: { position: "relative", width: "100%" },
  canvas: { position: "sticky", top: 0, left: 0, display: "block" },
  status: { minHeight: "20px", color: tokens.colorNeutralForeground2, whiteSpace: "nowrap", overflow: "hidden", textOverflow: "ellipsis" },
  unseen: { position: "absolute", top: 0, left: 0, width: "1px", height: "1px", overflow: "hidden", clipPath: "inset(50%)", whiteSpace: "nowrap" },
});

type Props = {
  dots: Dots;
  /** Only devices in this state; null for all. */
  only: SimulatedState | null;
  open: string | null;
  onOpen: (deviceId: string) => void;
  label: string;
};

/** One dot a device, drawn where it can be seen: ten thousand cost what a screenful costs. Arrows move, Enter opens. */
export function DotGrid({ dots, only, open, onOpen, label }: Props) {
  const styles = useStyles();
  const { t } = useTranslation();
  const scroller = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const stamps = useRef<Stamps>(null);
  const { width, height } = useSize(scroller);
  const [top, setTop] = useState(0);
  const [cursor, setCursor] = useState<number | null>(null);
  const [hover, setHover] = useState<number | null>(null);
  const [focused, setFocused] = useState(false);
  const theme = useStore((model) => model.app?.settings.theme);
  const dark = useMedia("(prefers-color-scheme: dark)");

  const places = useMemo(() => placesOf(dots.states, only), [dots, only]);
  const count = places?.length ?? dots.deviceIds.length;
  const layout = useMemo(() => layoutDots(count, width), [count, width]);
  const at = cursor === null ? null : Math.min(cursor, count - 1);
  const placeOf = (index: number) => (places ? (places[index] ?? -1) : index);
  const idOf = (index: number | null) => (index === null ? undefined : dots.deviceIds[placeOf(index)]);

  // Stamps are in the colours of the theme, so another theme needs others.
  useEffect(() => {
    stamps.current = null;
  }, [theme, dark, layout.cell]);

  useEffect(() => {
    const target = canvas.current;
    if (!target || width === 0 || height === 0) return;
    const frame = requestAnimationFrame(() => {
      stamps.current ??= makeStamps(target, layout.cell);
      paintDots(target, stamps.current, {
        layout,
        width,
        height,
        top,
        stateOf: (index) => dots.states[places ? (places[index] ?? -1) : index],
        marked: focused ? at : null,
        open: open === null ? null : dots.deviceIds.indexOf(open),
        placeOf: (index) => (places ? (places[index] ?? -1) : index),
      });
    });
    return () => cancelAnimationFrame(frame);
  }, [dots, places, layout, width, height, top, at, focused, open, theme, dark]);

  const point = (event: MouseEvent) => {
    const view = scroller.current;
    if (!view) return null;
    const box = view.getBoundingClientRect();
    return dotAt(layout, event.clientX - box.left - view.clientLeft, event.clientY - box.top - view.clientTop + view.scrollTop);
  };
  const show = (index: number) => {
    const view = scroller.current;
    if (!view) return;
    const y = Math.floor(index / layout.columns) * layout.cell;
    if (y < view.scrollTop) view.scrollTop = y;
    else if (y + layout.cell > view.scrollTop + view.clientHeight) view.scrollTop = y + layout.cell - view.clientHeight;
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (count === 0) return;
    const here = at ?? 0;
    if (event.key === "Enter" || event.key === " ") {
      const id = idOf(here);
      if (id !== undefined) onOpen(id);
    } else {
      const page = Math.max(1, Math.floor(height / layout.cell) - 1);
      const next = moveDot(layout, here, event.key, event.ctrlKey || event.metaKey, page);
      if (next === null) return;
      setCursor(at === null ? 0 : next);
      show(at === null ? 0 : next);
    }
    event.preventDefault();
  };

  const shown = hover ?? (focused ? at : null);
  const shownId = idOf(shown);
  const current = idOf(at);
  const say = (id: string, index: number) => t("simulator.dot", { id, state: t(`simulator.states.${dots.states[placeOf(index)] ?? "stopped"}`) });
  return (
    <div className={styles.root}>
      {/* The keys are heard here; what is focused inside is only named. */}
      <div
        ref={scroller}
        className={styles.scroller}
        role="listbox"
        aria-label={label}
        aria-activedescendant={current !== undefined && focused ? "dot-current" : undefined}
        tabIndex={0}
        onKeyDown={onKeyDown}
        onFocus={() => setFocused(true)}
        onBlur={() => setFocused(false)}
        onScroll={({ currentTarget }) => setTop(currentTarget.scrollTop)}
        onMouseMove={(event) => setHover(point(event))}
        onMouseLeave={() => setHover(null)}
        onClick={(event) => {
          const index = point(event);
          const id = idOf(index);
          if (index === null || id === undefined) return;
          setCursor(index);
          onOpen(id);
        }}
        data-testid="dot-grid"
        data-count={count}
      >
        <div className={styles.body} style={{ height: Math.max(layout.height, height) }} role="presentation">
          <canvas ref={canvas} className={styles.canvas} style={{ width, height }} aria-hidden />
        </div>
        {current !== undefined && at !== null ? (
          <div id="dot-current" role="option" aria-selected={current === open} aria-posinset={at + 1} aria-setsize={count} className={styles.unseen}>
            {say(current, at)}
          </div>
        ) : null}
      </div>
      <Text size={200} className={mergeClasses(styles.status)} data-testid="dot-status">
        {shownId !== undefined && shown !== null ? say(shownId, shown) : t("simulator.dotHint")}
      </Text>
    </div>
  );
}

import type { SimulatedState } from "../../ipc";
import type { DotLayout } from "./dots";
import { colourOf, SHAPE, shapes, states } from "./shapes";

/** One small picture a state, drawn once: copying a picture is much faster than filling a path. */
export type Stamps = { pictures: Record<SimulatedState, HTMLCanvasElement>; size: number; scale: number; mark: string; open: string };

/** `var(--name)` as the theme around the element has it now. */
function resolve(element: Element, colour: string): string {
  const name = /var\((--[^),]+)/.exec(colour)?.[1];
  return name ? getComputedStyle(element).getPropertyValue(name).trim() || "currentColor" : colour;
}

export function makeStamps(target: HTMLCanvasElement, cell: number): Stamps {
  const scale = window.devicePixelRatio || 1;
  const size = Math.round((cell - 4) * scale);
  const pictures = Object.fromEntries(
    states.map((state) => {
      const picture = document.createElement("canvas");
      picture.width = size;
      picture.height = size;
      const pen = picture.getContext("2d");
      if (pen) {
        const { path, filled } = shapes[state];
        pen.scale(size / SHAPE, size / SHAPE);
        pen.lineWidth = 2;
        pen.lineCap = "round";
        pen.fillStyle = pen.strokeStyle = resolve(target, colourOf[state]);
        if (filled) pen.fill(new Path2D(path));
        else pen.stroke(new Path2D(path));
      }
      return [state, picture];
    }),
  ) as Stamps["pictures"];
  return { pictures, size, scale, mark: resolve(target, "var(--colorStrokeFocus2)"), open: resolve(target, "var(--colorBrandStroke1)") };
}

type Picture = {
  layout: DotLayout;
  width: number;
  height: number;
  /** How far it is scrolled. */
  top: number;
  stateOf: (index: number) => SimulatedState | undefined;
  /** Where the keyboard is. */
  marked: number | null;
  /** The place of the device that is looked at. */
  open: number | null;
  placeOf: (index: number) => number;
};

/** Draws the part that can be seen. */
export function paintDots(target: HTMLCanvasElement, stamps: Stamps, picture: Picture): void {
  const { layout, width, height, top, stateOf, marked, open, placeOf } = picture;
  const { cell, columns, count } = layout;
  const { scale, size } = stamps;
  const wide = Math.round(width * scale);
  const high = Math.round(height * scale);
  if (target.width !== wide || target.height !== high) {
    target.width = wide;
    target.height = high;
  }
  const pen = target.getContext("2d");
  if (!pen) return;
  pen.setTransform(1, 0, 0, 1, 0, 0);
  pen.clearRect(0, 0, wide, high);
  const first = Math.floor(top / cell) * columns;
  const last = Math.min(count, (Math.floor((top + height) / cell) + 1) * columns);
  const inset = ((cell - 4) * scale - size) / 2 + 2 * scale;
  for (let index = first; index < last; index += 1) {
    const x = (index % columns) * cell * scale;
    const y = (Math.floor(index / columns) * cell - top) * scale;
    const state = stateOf(index);
    if (state) pen.drawImage(stamps.pictures[state], Math.round(x + inset), Math.round(y + inset));
    const looked = open !== null && open >= 0 && placeOf(index) === open;
    if (looked || index === marked) {
      pen.strokeStyle = index === marked ? stamps.mark : stamps.open;
      pen.lineWidth = 2 * scale;
      pen.strokeRect(x + scale, y + scale, (cell - 2) * scale, (cell - 2) * scale);
    }
  }
}

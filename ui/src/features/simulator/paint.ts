import type { SimulatedState } from "../../ipc";
import type { DotLayout } from "./dots";
import { colourOf, SHAPE, shapes, states } from "./shapes";

/** The pixels of one small picture a state, drawn once. */
export type Stamps = { pixels: Record<SimulatedState, Uint32Array>; size: number; scale: number; mark: string; open: string };

/** `var(--name)` as the theme around the element has it now. */
function resolve(element: Element, colour: string): string {
  const name = /var\((--[^),]+)/.exec(colour)?.[1];
  return name ? getComputedStyle(element).getPropertyValue(name).trim() || "currentColor" : colour;
}

export function makeStamps(target: HTMLCanvasElement, cell: number): Stamps {
  const scale = window.devicePixelRatio || 1;
  const size = Math.round((cell - 4) * scale);
  const pixels = Object.fromEntries(
    states.map((state) => {
      const picture = document.createElement("canvas");
      picture.width = size;
      picture.height = size;
      const pen = picture.getContext("2d", { willReadFrequently: true });
      if (!pen) return [state, new Uint32Array(size * size)];
      const { path, filled } = shapes[state];
      pen.scale(size / SHAPE, size / SHAPE);
      pen.lineWidth = 2;
      pen.lineCap = "round";
      pen.fillStyle = pen.strokeStyle = resolve(target, colourOf[state]);
      if (filled) pen.fill(new Path2D(path));
      else pen.stroke(new Path2D(path));
      return [state, new Uint32Array(pen.getImageData(0, 0, size, size).data.buffer)];
    }),
  ) as Stamps["pixels"];
  return { pixels, size, scale, mark: resolve(target, "var(--colorStrokeFocus2)"), open: resolve(target, "var(--colorBrandStroke1)") };
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

/**
 * Draws the part that can be seen. Thousands of dots are put together as pixels and handed to the
 * canvas at once: without a graphics device each single `drawImage` would cost more than all of it.
 */
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
  const pen = target.getContext("2d", { willReadFrequently: true });
  if (!pen) return;
  const frame = pen.createImageData(wide, high);
  const pixels = new Uint32Array(frame.data.buffer);
  const first = Math.floor(top / cell) * columns;
  const last = Math.min(count, (Math.floor((top + height) / cell) + 1) * columns);
  const inset = ((cell - 4) * scale - size) / 2 + 2 * scale;
  const rings: { x: number; y: number; colour: string }[] = [];
  for (let index = first; index < last; index += 1) {
    const x = (index % columns) * cell * scale;
    const y = (Math.floor(index / columns) * cell - top) * scale;
    const state = stateOf(index);
    if (state) stamp(pixels, wide, high, stamps.pixels[state], size, Math.round(x + inset), Math.round(y + inset));
    if (index === marked) rings.push({ x, y, colour: stamps.mark });
    else if (open !== null && open >= 0 && placeOf(index) === open) rings.push({ x, y, colour: stamps.open });
  }
  pen.setTransform(1, 0, 0, 1, 0, 0);
  pen.putImageData(frame, 0, 0);
  pen.lineWidth = 2 * scale;
  for (const { x, y, colour } of rings) {
    pen.strokeStyle = colour;
    pen.strokeRect(x + scale, y + scale, (cell - 2) * scale, (cell - 2) * scale);
  }
}

/** Copies a square of pixels to a place, as far as it is inside. */
function stamp(to: Uint32Array, wide: number, high: number, from: Uint32Array, size: number, left: number, top: number): void {
  const columns = Math.min(size, wide - left);
  if (columns <= 0 || left < 0) return;
  for (let row = Math.max(0, -top); row < Math.min(size, high - top); row += 1) {
    to.set(from.subarray(row * size, row * size + columns), (top + row) * wide + left);
  }
}

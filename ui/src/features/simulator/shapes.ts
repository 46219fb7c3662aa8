import { tokens } from "@fluentui/react-components";
import type { SimulatedState } from "../../ipc";

/** Shapes are drawn in a square of this size. */
export const SHAPE = 12;

/** In the order in which they are counted. */
export const states: SimulatedState[] = ["connected", "connecting", "waiting", "refused", "stopped"];

export const shapes: Record<SimulatedState, { path: string; filled: boolean }> = {
  // A disc, a ring, a triangle, a cross, a bar.
  connected: { path: "M6 1a5 5 0 1 1 0 10a5 5 0 1 1 0-10z", filled: true },
  connecting: { path: "M6 2a4 4 0 1 1 0 8a4 4 0 1 1 0-8z", filled: false },
  waiting: { path: "M6 1L11.5 10.5H.5z", filled: true },
  refused: { path: "M2 2L10 10M10 2L2 10", filled: false },
  stopped: { path: "M3 6H9", filled: false },
};

/** Custom properties of the theme, so that they follow light, dark and high contrast. */
export const colourOf: Record<SimulatedState, string> = {
  connected: tokens.colorPaletteGreenForeground1,
  connecting: tokens.colorBrandForeground1,
  waiting: tokens.colorPaletteMarigoldForeground2,
  refused: tokens.colorPaletteRedForeground1,
  stopped: tokens.colorNeutralForeground3,
};

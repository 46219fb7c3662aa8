import { type RefObject, useEffect, useState } from "react";

/** What `measure` takes from the inside of an element, followed as it changes. */
function useMeasured<T>(ref: RefObject<HTMLElement | null>, first: T, measure: (before: T, box: DOMRectReadOnly) => T): T {
  const [measured, setMeasured] = useState(first);
  useEffect(() => {
    if (!ref.current) return;
    const observer = new ResizeObserver(([entry]) => entry && setMeasured((before) => measure(before, entry.contentRect)));
    observer.observe(ref.current);
    return () => observer.disconnect();
  }, [ref, measure]);
  return measured;
}

type Size = { width: number; height: number };
const NONE: Size = { width: 0, height: 0 };

const widthOf = (_: number, box: DOMRectReadOnly) => Math.round(box.width);
const sizeOf = (before: Size, box: DOMRectReadOnly): Size => {
  const width = Math.round(box.width);
  const height = Math.round(box.height);
  return before.width === width && before.height === height ? before : { width, height };
};

export const useWidth = (ref: RefObject<HTMLElement | null>): number => useMeasured(ref, 0, widthOf);

export const useSize = (ref: RefObject<HTMLElement | null>): Size => useMeasured(ref, NONE, sizeOf);

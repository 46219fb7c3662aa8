import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { PAGE, Pages } from "./pages";

const settle = () => vi.advanceTimersByTimeAsync(0);

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("only the pages in sight are read", async () => {
  const read = vi.fn(async (offset: number) => offset);
  const pages = new Pages(read);
  pages.show(0, 10);
  pages.subscribe(() => undefined);
  await settle();
  for (let row = 0; row < 5 * PAGE; row += 10) pages.show(row, row + 20);
  pages.show(5 * PAGE - 1, 5 * PAGE + 20);
  await vi.advanceTimersByTimeAsync(100);
  expect(read.mock.calls.map(([offset]) => offset)).toEqual([0, 4 * PAGE, 5 * PAGE]);
  expect([...pages.get().pages.keys()].sort()).toEqual([4, 5]);
});

test("a storm of news makes one look a second", async () => {
  const read = vi.fn(async () => "page");
  const pages = new Pages(read);
  pages.subscribe(() => undefined);
  await settle();
  for (let turn = 0; turn < 100; turn += 1) {
    pages.renew();
    await vi.advanceTimersByTimeAsync(50);
  }
  expect(read.mock.calls.length).toBeGreaterThan(4);
  expect(read.mock.calls.length).toBeLessThanOrEqual(6);
});

test("news that come while a page is read are not lost", async () => {
  let stored = 1;
  let answer: (() => void) | undefined;
  const pages = new Pages(() => {
    const seen = stored;
    return new Promise<number>((resolve) => (answer = () => resolve(seen)));
  });
  pages.subscribe(() => undefined);
  await vi.advanceTimersByTimeAsync(1000);
  stored = 2;
  pages.renew();
  answer?.();
  await vi.advanceTimersByTimeAsync(1000);
  answer?.();
  await settle();
  expect(pages.get().newest).toBe(2);
});

test("the pages of another filter are shown until the first of these is here", async () => {
  const before = { pages: new Map([[0, "old"], [1, "old"]]), newest: "old", error: null };
  const pages = new Pages(async () => "new", before);
  pages.subscribe(() => undefined);
  expect(pages.get().newest).toBe("old");
  await settle();
  expect([...pages.get().pages]).toEqual([[0, "new"]]);
});

test("a page that cannot be read leaves the others, and says why", async () => {
  const before = new Pages(async (offset) => {
    if (offset > 0) throw new Error("The disk is gone.");
    return "page";
  });
  before.subscribe(() => undefined);
  await settle();
  before.show(PAGE, PAGE);
  await vi.advanceTimersByTimeAsync(100);
  expect(before.get().newest).toBe("page");
  expect(before.get().error?.message).toBe("The disk is gone.");
});

test("nobody who looks means nothing is read", async () => {
  const read = vi.fn(async () => "page");
  const pages = new Pages(read);
  const leave = pages.subscribe(() => undefined);
  await settle();
  pages.renew();
  leave();
  pages.renew();
  await vi.advanceTimersByTimeAsync(5000);
  expect(read).toHaveBeenCalledTimes(1);
});

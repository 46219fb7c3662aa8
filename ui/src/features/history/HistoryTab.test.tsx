import { FluentProvider } from "@fluentui/react-components";
import { act, cleanup, fireEvent, render, screen, waitFor } from "@testing-library/react";
import { MemoryRouter } from "react-router";
import { afterEach, expect, test, vi } from "vitest";
import { type HistoryEntry, type HistoryPage, ipc, type TwinChange } from "../../ipc";
import "../../lib/i18n";
import { applyEvent, emptyModel } from "../../store/model";
import { useStore } from "../../store/store";
import { HistoryTab } from "./HistoryTab";

const change = (id: number, more: Partial<TwinChange> = {}): HistoryEntry => ({
  kind: "twin",
  id,
  at: `2026-11-21T10:00:${String(id).padStart(2, "0")}Z`,
  change: { section: "desired", author: "here", version: id, paths: [{ path: `n${id}`, before: id - 1, after: id }], more: 0, ...more },
});

const show = (...pages: HistoryPage[]) => {
  useStore.setState(emptyModel());
  const read = vi.spyOn(ipc, "deviceHistory");
  for (const page of pages) read.mockResolvedValueOnce(page);
  render(
    <FluentProvider>
      <MemoryRouter>
        <HistoryTab deviceId="d1" />
      </MemoryRouter>
    </FluentProvider>,
  );
  return read;
};
const paths = () => screen.getAllByTestId("history-path").map((path) => path.getAttribute("data-path"));
const tell = (deviceId: string) => act(() => useStore.setState((model) => applyEvent(model, { type: "history", deviceIds: [deviceId] }, 0)));

afterEach(() => {
  cleanup();
  vi.restoreAllMocks();
});

test("what happens while it is looked at comes on top, and other devices change nothing", async () => {
  const read = show({ entries: [change(1)], more: false }, { entries: [change(2), change(1)], more: false });
  await screen.findByTestId("history");
  tell("other");
  tell("d1");
  await waitFor(() => expect(paths()).toEqual(["n2", "n1"]));
  expect(read.mock.calls).toEqual([
    ["d1", 0, 50],
    ["d1", 0, 50],
  ]);
});

test("older entries come when they are asked for", async () => {
  const read = show({ entries: [change(3), change(2)], more: true }, { entries: [change(2), change(1)], more: false });
  fireEvent.click(await screen.findByTestId("history-more"));
  await waitFor(() => expect(paths()).toEqual(["n3", "n2", "n1"]));
  expect(read).toHaveBeenLastCalledWith("d1", 2, 50);
  expect(screen.queryByTestId("history-more")).toBeNull();
});

test("a change says who, what was, what is, and what is gone; many paths wait for a click", async () => {
  const many = [
    { path: "mode", before: "day", after: "night" },
    { path: "old", before: 1, after: null },
    { path: "new", before: null, after: { a: 1 } },
    ...Array.from({ length: 6 }, (_, index) => ({ path: `p${index}`, before: 0, after: 1 })),
  ];
  show({ entries: [change(1, { section: "reported", author: "device", paths: many, more: 2 })], more: false });
  const text = (await screen.findByTestId("history-entry")).textContent ?? "";
  expect(text).toContain("Reported properties changedby the device · v1");
  expect(text).toContain('mode"day"→"night"old1removednewnew{"a":1}');
  expect(text).toContain("2 more were too large to keep");
  expect(screen.getAllByTestId("history-path")).toHaveLength(6);
  fireEvent.click(screen.getByText("Show all 9 properties"));
  expect(screen.getAllByTestId("history-path")).toHaveLength(9);
});

test("without any it says what will be kept", async () => {
  show({ entries: [], more: false });
  await screen.findByText("Nothing has happened yet");
});

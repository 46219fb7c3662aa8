import { FluentProvider } from "@fluentui/react-components";
import { cleanup, fireEvent, render, screen, waitFor, within } from "@testing-library/react";
import { MemoryRouter } from "react-router";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type AppError, ipc, type JsonValue, type TwinView } from "../../ipc";
import "../../lib/i18n";
import { emptyModel } from "../../store/model";
import { useStore } from "../../store/store";
import { draftKey, setDraft, useDrafts } from "./draft";
import { SectionEditor } from "./SectionEditor";

const KEY = draftKey("h", "d1", "desired");
const refused: AppError = { code: "PreconditionFailed", message: "Somebody else was faster.", hint: null, details: null };

const twin = (version: number, desired: JsonValue): TwinView => ({
  deviceId: "d1",
  etag: `e${version}`,
  version,
  enabled: true,
  connected: true,
  lastActivityAt: null,
  authenticationType: "sas",
  tags: {},
  desired,
  reported: {},
  desiredVersion: version,
  reportedVersion: 1,
  desiredMetadata: {},
  reportedMetadata: {},
  tagsSize: 0,
  desiredSize: 0,
  reportedSize: 0,
});

/** The hub as it is by now, which the window does not know yet. */
let hub: TwinView;

function Editor() {
  const watched = useStore((model) => model.twins.d1);
  return watched ? <SectionEditor hubId="h" twin={watched.twin} section="desired" /> : null;
}

const open = (known: TwinView, mine: JsonValue) => {
  useStore.setState({ ...emptyModel(), twins: { d1: { twin: known, changes: [] } } });
  setDraft(KEY, { text: JSON.stringify(mine), base: known.desired, etag: known.etag });
  render(
    <FluentProvider>
      <MemoryRouter>
        <Editor />
      </MemoryRouter>
    </FluentProvider>,
  );
};
const apply = () => {
  fireEvent.click(screen.getByTestId("twin-review"));
  fireEvent.click(screen.getByTestId("twin-apply"));
};
const button = (testId: string) => screen.getByTestId<HTMLButtonElement>(testId);
const radio = (side: string, path: string) => {
  const found = screen.getAllByTestId(`merge-${side}`).find((one) => one.getAttribute("data-path") === path);
  return found ?? expect.fail(`no ${side} for ${path}`);
};

beforeEach(() => {
  // The dialog would move in and out, and a test that ends would cancel it half-way.
  Object.defineProperty(Element.prototype, "animate", { value: undefined, configurable: true });
  useDrafts.setState({ drafts: {} });
  vi.spyOn(ipc, "listTemplates").mockResolvedValue([]);
  vi.spyOn(ipc, "getTwin").mockImplementation(() => Promise.resolve(hub));
  vi.spyOn(ipc, "updateTwin").mockImplementation((_, __, ___, etag) => (etag === hub.etag ? Promise.resolve(twin(9, {})) : Promise.reject(refused)));
});
afterEach(() => {
  cleanup();
  vi.restoreAllMocks();
});

test("a refused change asks only for what collides, and sends the merged patch with the new etag", async () => {
  hub = twin(2, { interval: 7, mode: "b", floor: 1 });
  open(twin(1, { interval: 5, mode: "a" }), { interval: 10, mode: "a", site: "x" });
  apply();
  const dialog = within(await screen.findByRole("dialog"));
  expect(dialog.getByTestId("merge-collisions").textContent).toContain("interval");
  expect(dialog.getByTestId("merge-quiet").textContent).toMatch(/mode.*floor.*site|site/);
  expect(button("merge-apply").disabled).toBe(true);
  fireEvent.click(radio("mine", "interval"));
  await waitFor(() => expect(button("merge-apply").disabled).toBe(false));
  expect(JSON.parse(dialog.getByTestId("merge-patch").textContent ?? "")).toEqual({ interval: 10, site: "x" });
  fireEvent.click(button("merge-apply"));
  await waitFor(() => expect(ipc.updateTwin).toHaveBeenLastCalledWith("d1", "desired", { interval: 10, site: "x" }, "e2"));
  await waitFor(() => expect(useDrafts.getState().drafts[KEY]).toBeUndefined());
});

test("what was typed stays until it is written: after closing, and when somebody is faster once more", async () => {
  hub = twin(2, { interval: 7 });
  open(twin(1, { interval: 5 }), { interval: 10 });
  apply();
  await screen.findByRole("dialog");
  fireEvent.click(screen.getByText("Cancel"));
  await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
  expect(useDrafts.getState().drafts[KEY]?.text).toBe('{"interval":10}');
  fireEvent.click(screen.getByTestId("twin-merge"));
  await screen.findByRole("dialog");
  fireEvent.click(radio("mine", "interval"));
  hub = twin(3, { interval: 8 });
  await waitFor(() => expect(button("merge-apply").disabled).toBe(false));
  fireEvent.click(button("merge-apply"));
  await screen.findByTestId("merge-again");
  expect(button("merge-apply").disabled, "theirs is another value now: it is asked for anew").toBe(true);
  fireEvent.click(radio("theirs", "interval"));
  await waitFor(() => expect(button("merge-apply").textContent).toBe("Keep theirs"));
  fireEvent.click(button("merge-apply"));
  await waitFor(() => expect(useDrafts.getState().drafts[KEY]).toBeUndefined());
  expect(ipc.updateTwin).toHaveBeenCalledTimes(2);
});

test("a write of another section in between is no conflict: the same patch goes out with the new etag", async () => {
  hub = { ...twin(2, { interval: 5 }), tags: { site: "north" } };
  open(twin(1, { interval: 5 }), { interval: 10 });
  apply();
  await waitFor(() => expect(ipc.updateTwin).toHaveBeenLastCalledWith("d1", "desired", { interval: 10 }, "e2"));
  await waitFor(() => expect(useDrafts.getState().drafts[KEY]).toBeUndefined());
  expect(screen.queryByRole("dialog")).toBeNull();
});

test("both put together can be taken back into the editor", async () => {
  hub = twin(2, { interval: 5, mode: "b" });
  open(hub, { interval: 10 });
  setDraft(KEY, { text: '{"interval":10}', base: { interval: 5 }, etag: "e1" });
  fireEvent.click(await screen.findByTestId("twin-merge"));
  fireEvent.click(await screen.findByTestId("merge-take"));
  await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
  const draft = useDrafts.getState().drafts[KEY];
  expect([JSON.parse(draft?.text ?? ""), draft?.base, draft?.etag]).toEqual([{ interval: 10, mode: "b" }, { interval: 5, mode: "b" }, "e2"]);
});

test("a section that the hub would not hold cannot be reviewed, and the reason stands above", () => {
  hub = twin(1, {});
  open(hub, { text: "x".repeat(33 * 1024) });
  expect(button("twin-review").disabled).toBe(true);
  expect(screen.getByTestId("twin-too-large").textContent).toMatch(/a hub takes 32/);
});

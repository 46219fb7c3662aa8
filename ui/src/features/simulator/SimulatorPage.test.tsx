import { FluentProvider } from "@fluentui/react-components";
import { act, cleanup, configure, fireEvent, render, screen, waitFor, within } from "@testing-library/react";
import { createMemoryRouter, RouterProvider } from "react-router";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ConfirmLoadDialog } from "../../components/ConfirmLoadDialog";
import { type ActiveHub, type AppState, type ConsoleLine, type Fleet, ipc, type SimulatedDevice, type SimulatedState } from "../../ipc";
import "../../lib/i18n";
import { applyEvents, emptyModel } from "../../store/model";
import { useStore } from "../../store/store";
import { closeDialog, useUi } from "../../store/ui";
import { DeleteFleetDialog } from "./DeleteFleetDialog";
import { FleetPage } from "./FleetPage";
import { SimulatorPage } from "./SimulatorPage";

const states: SimulatedState[] = ["stopped", "connecting", "connected", "waiting", "refused"];
const fleet = (change: Partial<Fleet> = {}, counts: Partial<Record<SimulatedState, number>> = { connected: 2, stopped: 1 }): Fleet => ({
  id: 1,
  name: "plant",
  createdAt: "2026-11-21T10:00:00Z",
  devices: 3,
  missing: 0,
  members: 1,
  groups: [{ model: "thermostat", title: "Thermostat", count: 3 }],
  perSecond: 50,
  startsWithHub: true,
  faults: [],
  counts: states.map((state) => ({ state, count: counts[state] ?? 0 })),
  totals: { atMs: 1000, connects: 0, messages: 0, reports: 0, methods: 0 },
  load: { devices: 3, messagesPerDay: 51_840, connectsPerSecond: 50, tier: "S1", units: 1, tooMuch: false },
  task: null,
  problem: null,
  ...change,
});
const line = (sequence: number, text: string, detail: string | null = null): ConsoleLine => ({
  sequence,
  at: "2026-11-21T10:00:00Z",
  kind: detail === null ? "did" : "sent",
  text,
  detail,
});
const device: SimulatedDevice = {
  deviceId: "pump-2",
  fleet: 1,
  model: "Thermostat",
  state: "connected",
  reason: null,
  faults: [],
  ownFaults: false,
  memory: { firmwareVersion: "1.2" },
};
/** Those of the frame's dialogs that come up here. */
function Dialogs() {
  const dialog = useUi((ui) => ui.dialog);
  if (dialog?.kind === "confirmLoad") return <ConfirmLoadDialog load={dialog.load} submit={dialog.submit} run={dialog.run} onClose={closeDialog} />;
  return dialog?.kind === "deleteFleet" ? <DeleteFleetDialog id={dialog.id} onClose={closeDialog} /> : null;
}
const hub = (kind: "local" | "remote", production = false): ActiveHub => ({
  hub: { id: "h", alias: "Plant", hostName: "plant.example", policy: "service", kind, colour: "", production, secretPlace: "keychain" },
  status: "connected",
  error: null,
  watch: "events",
  freshAtMs: 0,
  devices: 3,
  connected: 2,
});

const open = (fleets: Fleet[] | Promise<Fleet[]>, active: ActiveHub | null = hub("local"), path = "/simulator") => {
  useStore.setState({ ...emptyModel(), app: { active, hubs: [], settings: { theme: "light" } } as unknown as AppState });
  vi.spyOn(ipc, "listFleets").mockReturnValue(Promise.resolve(fleets));
  const router = createMemoryRouter(
    [
      {
        path: "simulator",
        element: (
          <>
            <SimulatorPage />
            <Dialogs />
          </>
        ),
        children: [{ path: "fleets/:fleet", element: <FleetPage /> }],
      },
      { path: "*", element: <p>{"elsewhere"}</p> },
    ],
    { initialEntries: [path] },
  );
  render(
    <FluentProvider>
      <RouterProvider router={router} />
    </FluentProvider>,
  );
};
const tell = (...events: Parameters<typeof applyEvents>[1]) => act(() => useStore.setState((model) => applyEvents(model, events, 0)));

// A page of many parts takes its time on a busy machine.
configure({ asyncUtilTimeout: 5000 });
vi.setConfig({ testTimeout: 20_000 });

beforeEach(() => {
  // This DOM lays nothing out and draws nothing.
  vi.spyOn(HTMLElement.prototype, "clientHeight", "get").mockReturnValue(360);
  vi.stubGlobal("ResizeObserver", class { observe() {} unobserve() {} disconnect() {} });
  Object.defineProperty(Element.prototype, "animate", { value: undefined, configurable: true });
  Element.prototype.scrollIntoView = () => undefined;
  vi.spyOn(ipc, "watchFleet").mockResolvedValue({ fleet: 1, members: 1, deviceIds: ["pump-1", "pump-2", "pump-3"], states: ["connected", "connected", "stopped"] });
  vi.spyOn(ipc, "unwatchFleet").mockResolvedValue(null);
  vi.spyOn(ipc, "simulatedDevice").mockResolvedValue(device);
  vi.spyOn(ipc, "watchConsole").mockResolvedValue([line(0, "connected")]);
  vi.spyOn(ipc, "unwatchConsole").mockResolvedValue(null);
});
afterEach(() => {
  closeDialog();
  cleanup();
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

test("without a hub it says what to do first", () => {
  open([], null);
  expect(screen.getByText("No hub is open")).toBeTruthy();
  expect(ipc.listFleets).not.toHaveBeenCalled();
});

test("a hub without fleets offers to make one", async () => {
  open([]);
  await screen.findByText("No simulated devices yet");
});

test("fleets that cannot be read say why and can be read again", async () => {
  open(Promise.reject({ code: "Storage", message: "The disk is full.", hint: null, details: null }));
  await screen.findByText(/The disk is full/);
  vi.mocked(ipc.listFleets).mockResolvedValue([fleet()]);
  fireEvent.click(screen.getByText("Try again"));
  await screen.findByTestId("fleet-page");
});

test("the first fleet is shown, with its devices by state and a filter on each", async () => {
  open([fleet()]);
  await waitFor(() => expect(screen.getByTestId("dot-grid").dataset.count).toBe("3"));
  expect(screen.getByTestId("count-connected").dataset.count).toBe("2");
  fireEvent.click(screen.getByTestId("count-stopped"));
  expect(screen.getByTestId("dot-grid").dataset.count).toBe("1");
  tell({ type: "fleetStates", fleet: 1, members: 1, changed: [[0, "stopped"]] });
  expect(screen.getByTestId("dot-grid").dataset.count).toBe("2");
});

test("the arrows move from device to device, and Enter looks into one", async () => {
  open([fleet()]);
  const grid = await screen.findByTestId("dot-grid");
  act(() => grid.focus());
  fireEvent.keyDown(grid, { key: "ArrowRight" });
  expect(screen.getByRole("option").textContent).toBe("pump-1: Connected");
  fireEvent.keyDown(grid, { key: "End", ctrlKey: true });
  expect(screen.getByRole("option").textContent).toBe("pump-3: Stopped");
  fireEvent.keyDown(grid, { key: "Enter" });
  expect((await screen.findByTestId("drawer-title")).textContent).toBe("pump-3");
});

test("a device shows what it says, what it sends and what it remembers", async () => {
  open([fleet()], hub("local"), "/simulator/fleets/1?device=pump-2");
  await screen.findByText("connected");
  tell({ type: "console", deviceId: "pump-2", lines: [line(1, "telemetry climate", '{"temperature":21.5}')] });
  fireEvent.click(screen.getByText("telemetry climate"));
  expect(screen.getByTestId("console-lines").textContent).toContain('"temperature": 21.5');
  fireEvent.click(screen.getByTestId("drawer-telemetry"));
  expect(screen.getByTestId("series").dataset.path).toBe("temperature");
  fireEvent.click(screen.getByTestId("drawer-memory"));
  expect((await screen.findByTestId("device-memory")).textContent).toContain("1.2");
  cleanup();
  await waitFor(() => expect(ipc.unwatchConsole).toHaveBeenCalled());
});

test("a fault is switched on for the whole fleet, and for one device", async () => {
  const ofFleet = vi.spyOn(ipc, "setFleetFaults").mockResolvedValue(fleet());
  const ofDevice = vi.spyOn(ipc, "setDeviceFaults").mockResolvedValue({ ...device, ownFaults: true });
  open([fleet()], hub("local"), "/simulator/fleets/1?device=pump-2");
  const drawer = await screen.findByRole("complementary");
  fireEvent.click(await screen.findByTestId("fault-silent"));
  await waitFor(() => expect(ofFleet).toHaveBeenCalledWith(1, [{ kind: "silent", devices: 1, chance: 1 }]));
  fireEvent.click(screen.getByTestId("drawer-faults"));
  fireEvent.click(await within(drawer).findByTestId("fault-noAnswer"));
  await waitFor(() => expect(ofDevice).toHaveBeenCalledWith("pump-2", [{ kind: "noAnswer", devices: 1, chance: 1 }]));
});

test("a wrong setting of a fault takes no effect", async () => {
  const change = vi.spyOn(ipc, "setFleetFaults").mockResolvedValue(fleet());
  open([fleet({ faults: [{ kind: "offline", devices: 1, chance: 1, after: "30s", lasts: "10s" }] })]);
  const field = await screen.findByTestId<HTMLInputElement>("fault-offline-after");
  fireEvent.change(field, { target: { value: "soon" } });
  fireEvent.blur(field);
  expect(field.getAttribute("aria-invalid")).toBe("true");
  expect(change).not.toHaveBeenCalled();
  fireEvent.change(field, { target: { value: "5s" } });
  fireEvent.keyDown(field, { key: "Enter" });
  await waitFor(() => expect(change.mock.calls[0]?.[1][0]?.after).toBe("5s"));
});

test("on the local hub a fleet starts at once, at the pace that is typed", async () => {
  const start = vi.spyOn(ipc, "startFleet").mockResolvedValue(null);
  open([fleet()]);
  fireEvent.change(await screen.findByTestId("fleet-ramp"), { target: { value: "0" } });
  expect(screen.getByTestId<HTMLButtonElement>("start-fleet").disabled).toBe(true);
  fireEvent.change(screen.getByTestId("fleet-ramp"), { target: { value: "7" } });
  fireEvent.click(screen.getByTestId("start-fleet"));
  await waitFor(() => expect(start).toHaveBeenCalledWith(1, 7, null));
});

test("on any other hub nothing starts before its load is confirmed", async () => {
  const start = vi.spyOn(ipc, "startFleet").mockResolvedValue(null);
  open([fleet()], hub("remote", true));
  fireEvent.click(await screen.findByTestId("start-fleet"));
  const notice = await screen.findByTestId("load-notice");
  expect(notice.textContent).toContain("51,840");
  expect(notice.textContent).toContain("S1, 1 unit");
  expect(start).not.toHaveBeenCalled();
  expect(screen.getByTestId<HTMLButtonElement>("confirm-load").disabled).toBe(true);
  fireEvent.change(screen.getByTestId("confirm-name"), { target: { value: "Plant" } });
  fireEvent.click(screen.getByTestId("confirm-load"));
  await waitFor(() => expect(start).toHaveBeenCalledWith(1, 50, { devices: 3, messagesPerDay: 51_840 }));
});

test("work under way shows how far it is and can be cancelled, and says afterwards what failed", async () => {
  const cancel = vi.spyOn(ipc, "cancelFleetTask").mockResolvedValue(null);
  const task = { work: "creating" as const, running: true, cancelled: false, done: 100, failed: 0, total: 300, failures: [], error: null };
  open([fleet({ task })]);
  expect((await screen.findByTestId("fleet-task")).textContent).toContain("Creating: 100 of 300");
  fireEvent.click(screen.getByTestId("cancel-task"));
  await waitFor(() => expect(cancel).toHaveBeenCalledWith(1));
  tell({ type: "fleets", fleets: [fleet({ task: { ...task, running: false, failed: 1, failures: [{ deviceId: "pump-9", message: "exists" }] } })] });
  expect(screen.getByTestId("fleet-outcome").textContent).toContain("pump-9: exists");
});

test("deleting a fleet says how many devices go from which hub", async () => {
  const remove = vi.spyOn(ipc, "deleteFleet").mockResolvedValue(null);
  open([fleet()]);
  fireEvent.click(await screen.findByTestId("fleet-more"));
  fireEvent.click(await screen.findByTestId("delete-fleet"));
  const dialog = await screen.findByRole("dialog");
  expect(dialog.textContent).toContain("3 devices, with their identities, keys and twins, are removed from Plant");
  fireEvent.click(screen.getByTestId("delete-fleet-confirm"));
  await waitFor(() => expect(remove).toHaveBeenCalledWith(1));
});

test("a fleet whose model is broken says so and can only be deleted", async () => {
  open([fleet({ problem: "the model pump.toml: line 3: unknown field" })]);
  await screen.findByText(/line 3: unknown field/);
  expect(screen.queryByTestId("start-fleet")).toBeNull();
});

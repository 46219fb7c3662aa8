import { FluentProvider } from "@fluentui/react-components";
import { act, cleanup, fireEvent, render, screen, waitFor } from "@testing-library/react";
import { MemoryRouter } from "react-router";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type AppState, ipc, type LocalHubCounters, type LocalHubStatus, type ProtocolLine } from "../../ipc";
import "../../lib/i18n";
import { addReading, applyLines } from "../../store/local-hub";
import { emptyModel } from "../../store/model";
import { useStore } from "../../store/store";
import { LocalHubPage } from "./LocalHubPage";

const reading = (second: number, change: Partial<LocalHubCounters> = {}): LocalHubCounters => ({
  atMs: second * 1000,
  connections: 3,
  telemetry: 0,
  cloudToDevice: 0,
  methods: 0,
  serviceTwinWrites: 0,
  deviceTwinWrites: 0,
  requests: 0,
  refused: 0,
  ...change,
});
const line = (sequence: number, text: string): ProtocolLine => ({ sequence, at: "2026-11-21T10:00:00Z", kind: "received", text });

const open = (status: LocalHubStatus, path = "/local-hub", error: unknown = null) => {
  const localHub = { status, hostName: "localhost", mqttPort: 8883, httpsPort: 443, caFile: "/data/ca.pem", dataDir: "/data", note: null, error };
  useStore.setState({ ...emptyModel(), app: { localHub, hubs: [], active: null, settings: { localLimits: false } } as unknown as AppState });
  render(
    <FluentProvider>
      <MemoryRouter initialEntries={[path]}>
        <LocalHubPage />
      </MemoryRouter>
    </FluentProvider>,
  );
};
const tell = (lines: ProtocolLine[]) =>
  act(() => useStore.setState(({ protocol }) => ({ protocol: applyLines(protocol, "d", lines) })));

beforeEach(() => {
  // This DOM lays nothing out.
  vi.spyOn(HTMLElement.prototype, "clientHeight", "get").mockReturnValue(360);
  vi.stubGlobal("ResizeObserver", class { observe() {} unobserve() {} disconnect() {} });
  Element.prototype.scrollIntoView = () => undefined;
  vi.spyOn(ipc, "watchCounters").mockResolvedValue(reading(1));
  vi.spyOn(ipc, "unwatchCounters").mockResolvedValue(null);
  vi.spyOn(ipc, "watchProtocol").mockResolvedValue(null);
  vi.spyOn(ipc, "unwatchProtocol").mockResolvedValue(null);
});
afterEach(() => {
  cleanup();
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

test("a hub that is off offers to start and is not looked into", () => {
  open("stopped");
  expect(screen.getByTestId<HTMLButtonElement>("start-local-hub").disabled).toBe(false);
  expect(screen.getByText("/data")).toBeTruthy();
  expect(screen.queryByTestId("counters")).toBeNull();
  expect(ipc.watchCounters).not.toHaveBeenCalled();
});

test("a port that is taken is said with what to do", () => {
  open("failed", undefined, { code: "PortInUse", message: "Another program uses port 8883.", hint: "Stop the program.", details: null });
  expect(screen.getByTestId("error").textContent).toContain("Stop the program.");
});

test("counters are watched while the page is open, and not after it", async () => {
  open("running");
  await screen.findByText("3");
  act(() => useStore.setState(({ counters }) => ({ counters: addReading(counters, reading(3, { telemetry: 40 })) })));
  expect(screen.getByText("20/s")).toBeTruthy();
  cleanup();
  await waitFor(() => expect(ipc.unwatchCounters).toHaveBeenCalledOnce());
});

test("connection strings are copied by the backend, a device's by its id", async () => {
  const copy = vi.spyOn(ipc, "copyLocalConnectionString").mockResolvedValue(null);
  open("running");
  fireEvent.click(screen.getByTestId("copy-service-connection-string"));
  await screen.findByText("Service connection string copied");
  expect(copy).toHaveBeenCalledWith(null);
  const field = screen.getByTestId("connection-string-device");
  fireEvent.change(field, { target: { value: " d-1 " } });
  fireEvent.keyDown(field, { key: "Enter" });
  fireEvent.click(screen.getByTestId("copy-device-connection-string"));
  await waitFor(() => expect(copy).toHaveBeenLastCalledWith("d-1"));
});

test("lines come as they are said, stand still while paused, and can be cleared", async () => {
  open("running", "/local-hub?device=d");
  await waitFor(() => expect(ipc.watchProtocol).toHaveBeenCalledWith("d"));
  await screen.findByText("Nothing has been said yet");
  tell([line(0, "CONNECT as d")]);
  expect(screen.getByText("CONNECT as d")).toBeTruthy();
  fireEvent.keyDown(screen.getByTestId("protocol-lines"), { key: " " });
  tell([line(1, "PINGREQ")]);
  expect(screen.queryByText("PINGREQ")).toBeNull();
  expect(screen.getByTestId("protocol-count").textContent).toBe("Paused, 1 newer line");
  fireEvent.click(screen.getByTestId("protocol-pause"));
  expect(screen.getByText("PINGREQ")).toBeTruthy();
  fireEvent.click(screen.getByTestId("protocol-clear"));
  expect(screen.queryByText("PINGREQ")).toBeNull();
});

test("who was refused is shown with the reason, and can be watched from there", async () => {
  vi.spyOn(ipc, "watchCounters").mockResolvedValue(reading(1, { refused: 1 }));
  vi.spyOn(ipc, "localRefusals").mockResolvedValue([{ at: "2026-11-21T10:00:00Z", client: "thief", reason: "The token has expired." }]);
  open("running");
  await screen.findByText("The token has expired.");
  fireEvent.click(screen.getByText("Watch thief"));
  await waitFor(() => expect(ipc.watchProtocol).toHaveBeenCalledWith("thief"));
});

test("a device that cannot be watched says why", async () => {
  vi.spyOn(ipc, "watchProtocol").mockRejectedValue({ code: "InvalidInput", message: "No id.", hint: null, details: null });
  open("running", "/local-hub?device=d");
  await screen.findByText("d cannot be watched");
});

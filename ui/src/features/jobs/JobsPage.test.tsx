import { FluentProvider } from "@fluentui/react-components";
import axe from "axe-core";
import { act, cleanup, configure, fireEvent, render, screen, waitFor, within } from "@testing-library/react";
import { createMemoryRouter, RouterProvider } from "react-router";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type AppError, type AppState, ipc, type Job, type JobDevice, type JobPage as Page, type JobPreview, type NewJob } from "../../ipc";
import "../../lib/i18n";
import { applyEvents, emptyModel } from "../../store/model";
import { useStore } from "../../store/store";
import { orderJob, useUi } from "../../store/ui";
import { emptyDraft, useDrafts } from "./draft";
import { JobPage } from "./JobPage";
import { JobsPage } from "./JobsPage";
import { NewJobPage } from "./NewJobPage";

const job = (change: Partial<Job> = {}): Job => ({
  id: "job-1",
  runner: "hub",
  kind: "invokeMethod",
  title: "Invoke lockDoor",
  condition: "tags.building = '43'",
  state: "running",
  statusMessage: "",
  reason: null,
  ours: true,
  cancelling: false,
  createdAt: "2026-11-21T10:00:00Z",
  startAt: null,
  startedAt: "2026-11-21T10:00:00Z",
  endedAt: null,
  maxMinutes: 60,
  total: 240,
  enqueued: 0,
  running: 10,
  succeeded: 227,
  failed: 3,
  cancelled: 0,
  unknown: 0,
  estimatedSeconds: null,
  ...change,
});
const child = (change: Partial<JobDevice> = {}): JobDevice => ({
  deviceId: "door-1",
  id: "job-1-1",
  state: "completed",
  phases: [],
  attempts: 0,
  startedAt: "2026-11-21T10:00:00Z",
  endedAt: "2026-11-21T10:00:02Z",
  status: 200,
  resultText: '{"Response":"Door locked"}',
  reason: null,
  cause: null,
  ...change,
});
const preview = (change: Partial<JobPreview> = {}): JobPreview => ({
  count: 240,
  connected: 238,
  sample: ["door-1", "door-2"],
  estimatedSeconds: 24,
  notes: ["2 devices are offline: the hub counts them as failed."],
  differences: [],
  unchanged: 0,
  problem: null,
  ...change,
});
const page = (jobs: Job[]): Page => ({ jobs, total: jobs.length, byState: jobs.map(({ state }) => ({ state, count: 1 })) });
const problem = (message: string, code: AppError["code"] = "InvalidInput"): AppError => ({ code, message, hint: null, details: null });

const open = (path: string, production = false) => {
  const hub = { id: "h", alias: "Plant", hostName: "plant.example", policy: "service", kind: "local", colour: "", production, secretPlace: "keychain" };
  const active = { hub, status: "connected", error: null, watch: "events", freshAtMs: 0, devices: 240, connected: 238 };
  useStore.setState({ ...emptyModel(), app: { active, hubs: [], settings: { theme: "light" } } as unknown as AppState });
  const router = createMemoryRouter(
    [
      { path: "jobs", element: <JobsPage /> },
      { path: "jobs/new", element: <NewJobPage /> },
      { path: "jobs/:id", element: <JobPage /> },
    ],
    { initialEntries: [path] },
  );
  render(
    <FluentProvider>
      <RouterProvider router={router} />
    </FluentProvider>,
  );
  return router;
};
const tell = (...jobs: Job[]) => act(() => useStore.setState((model) => applyEvents(model, [{ type: "jobs", jobs }], 0)));
/** Nothing is drawn here, so colours are looked at in the built application. */
const violations = async () =>
  (await axe.run(document.body, { rules: { "color-contrast": { enabled: false }, region: { enabled: false } } })).violations.map(
    ({ id, nodes }) => `${id}: ${nodes[0]?.html}`,
  );
const write = (testId: string, value: string) => fireEvent.change(screen.getByTestId(testId), { target: { value } });
const ready = () => waitFor(() => expect(screen.getByTestId("job-create").dataset.ready).toBe("true"));

configure({ asyncUtilTimeout: 5000 });
vi.setConfig({ testTimeout: 20_000 });

beforeEach(() => {
  // This DOM lays nothing out and draws nothing.
  vi.spyOn(HTMLElement.prototype, "clientHeight", "get").mockReturnValue(400);
  class Watched {
    constructor(private readonly tell: (entries: unknown[]) => void) {}
    observe(target: Element) {
      this.tell([{ target, contentRect: { width: 1000, height: 400 } }]);
    }
    unobserve() {}
    disconnect() {}
  }
  vi.stubGlobal("ResizeObserver", Watched);
  Object.defineProperty(Element.prototype, "animate", { value: undefined, configurable: true });
  Element.prototype.scrollIntoView = () => undefined;
  useDrafts.setState({ hubId: null, draft: emptyDraft });
  vi.spyOn(ipc, "previewJob").mockResolvedValue(preview());
  vi.spyOn(ipc, "listPackages").mockResolvedValue([]);
});
afterEach(() => {
  orderJob(null);
  cleanup();
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

// ---- the list ------------------------------------------------------------------------------------
test("jobs are told with their state, progress and target, and follow events", async () => {
  vi.spyOn(ipc, "listJobs").mockResolvedValue(page([job(), job({ id: "here-2", runner: "here", title: "Reboot", condition: null, total: 6, state: "completed" })]));
  open("/jobs");
  const row = await waitFor(() => within(screen.getAllByTestId("job-row")[0] as HTMLElement));
  row.getByText("Running");
  row.getByText("230 of 240, 3 failed");
  row.getByText("tags.building = '43'");
  expect(await violations()).toEqual([]);
  tell(job({ state: "failed", succeeded: 237, running: 0, reason: "3 devices failed." }));
  row.getByText("240 of 240, 3 failed");
  expect(row.getByText("Failed").title).toBe("3 devices failed.");
});

test("a state with its count filters the list", async () => {
  const list = vi.spyOn(ipc, "listJobs").mockResolvedValue(page([job()]));
  open("/jobs");
  const toggle = await screen.findByTestId("job-state-filter");
  expect(toggle.dataset.count).toBe("1");
  fireEvent.click(toggle);
  await waitFor(() => expect(list.mock.lastCall?.[0].state).toBe("running"));
  expect(screen.getByTestId("job-state-filter").getAttribute("aria-pressed")).toBe("true");
  write("job-filter-text", "lock");
  await waitFor(() => expect(list.mock.lastCall?.[0]).toMatchObject({ state: "running", text: "lock" }));
  fireEvent.click(screen.getByTestId("job-filter-clear"));
  await waitFor(() => expect(list.mock.lastCall?.[0]).toMatchObject({ state: null, text: null }));
});

test("no jobs yet, none that match, and jobs that cannot be read are three things", async () => {
  const list = vi.spyOn(ipc, "listJobs").mockResolvedValue(page([]));
  open("/jobs");
  await screen.findByText("No jobs yet");
  expect(await violations()).toEqual([]);
  cleanup();
  open("/jobs?state=failed");
  await screen.findByText("No job matches these filters");
  cleanup();
  list.mockRejectedValueOnce(problem("The disk is full.", "Storage"));
  open("/jobs");
  await screen.findByText(/The disk is full/);
  fireEvent.click(screen.getByText("Try again"));
  await screen.findByText("No jobs yet");
});

// ---- a new one -----------------------------------------------------------------------------------
test("a job is reviewed in one sentence and made as it was reviewed", async () => {
  const create = vi.spyOn(ipc, "createJob").mockResolvedValue(job());
  vi.spyOn(ipc, "getJob").mockResolvedValue(job());
  vi.spyOn(ipc, "jobDevices").mockResolvedValue({ devices: [], total: 0, causes: [] });
  open("/jobs/new");
  write("job-methodName", "lockDoor");
  write("job-condition", "tags.building = '43'");
  fireEvent.click(screen.getByTestId("job-runner-hub"));
  await ready();
  expect(screen.getByTestId("job-review").textContent).toMatch(/^Invoke lockDoor on 240 devices now, finish by /);
  expect(screen.getByTestId("dry-run").textContent).toContain("2 devices are offline");
  expect(await violations()).toEqual([]);
  fireEvent.click(screen.getByTestId("job-create"));
  await screen.findByTestId("job-page");
  expect(create.mock.calls[0]?.[0]).toMatchObject({
    work: { kind: "invokeMethod", methodName: "lockDoor", payload: null },
    target: { kind: "query", condition: "tags.building = '43'" },
    runner: "hub",
    startAt: null,
    maxMinutes: 60,
    expected: 240,
  });
  expect(useDrafts.getState().draft).toEqual(emptyDraft);
});

test("a mistake in the condition is told at the condition, and the work that is typed stays", async () => {
  vi.mocked(ipc.previewJob).mockResolvedValue(preview({ count: 0, sample: [], problem: problem("The query cannot be read: expected a value.") }));
  open("/jobs/new");
  write("job-methodName", "lockDoor");
  write("job-condition", "tags.building =");
  const told = await screen.findByText(/The query cannot be read/);
  expect(told.closest(".fui-Field")?.querySelector("input")).toBe(screen.getByTestId("job-condition"));
  expect(screen.getByTestId("job-create").dataset.ready).toBe("false");
  expect(screen.getByTestId<HTMLInputElement>("job-methodName").value).toBe("lockDoor");
});

test("a mistake in the work is told with the work, and one about the hub where the hub was chosen", async () => {
  const wrong = preview({ problem: problem("This call cannot be sent.") });
  vi.mocked(ipc.previewJob).mockImplementation(async (work) => (work.kind === "enable" ? preview() : wrong));
  open("/jobs/new");
  write("job-methodName", "lock door");
  write("job-condition", "tags.a = 1");
  expect((await screen.findByTestId("job-work-problem")).textContent).toContain("This call cannot be sent.");
  vi.mocked(ipc.previewJob).mockImplementation(async (_work, _target, runner) => (runner === "here" ? preview() : wrong));
  fireEvent.click(screen.getByTestId("job-runner-hub"));
  await waitFor(() => expect(screen.queryByTestId("job-work-problem")).toBeNull());
  await screen.findByText("This call cannot be sent.");
});

test("what is missing is told once somebody tries to go on", async () => {
  const create = vi.spyOn(ipc, "createJob");
  open("/jobs/new");
  expect(screen.queryByText("Name the method.")).toBeNull();
  fireEvent.click(screen.getByTestId("job-create"));
  await screen.findByText("Name the method.");
  await screen.findByText("Write a condition, or choose all devices.");
  await waitFor(() => expect(document.activeElement).toBe(screen.getByTestId("job-methodName")));
  expect(create).not.toHaveBeenCalled();
});

test("devices that were selected are the job's, and what was typed before stays", async () => {
  useDrafts.setState({ hubId: "h", draft: { ...emptyDraft, methodName: "lockDoor" } });
  orderJob({ ids: ["a", "b"], source: "selection" });
  open("/jobs/new");
  expect((await screen.findByTestId("job-picked")).textContent).toBe("2 devices selected in the list");
  expect(screen.getByTestId<HTMLInputElement>("job-methodName").value).toBe("lockDoor");
  expect(useUi.getState().jobOrder).toBeNull();
});

test("a job for the failed devices of another is filled in and can still be changed", async () => {
  const asked: NewJob = { work: { kind: "readProperties", names: ["a"] }, target: { kind: "devices", ids: ["x"] }, runner: "here", startAt: null, maxMinutes: 5, expected: 1 };
  vi.spyOn(ipc, "failedJobRequest").mockResolvedValue(asked);
  const router = open("/jobs/new?retry=here-1");
  expect((await screen.findByTestId("job-picked")).textContent).toBe("1 device that the job did not succeed on");
  expect(screen.getByTestId<HTMLInputElement>("job-names").value).toBe("a");
  expect(router.state.location.search).toBe("");
});

test("deleting wants the number of devices, and asks again when it has become another", async () => {
  const create = vi.spyOn(ipc, "createJob").mockRejectedValueOnce(problem("This is about 241 devices by now, not 240; nothing was done.", "NeedsConfirmation"));
  useDrafts.setState({ hubId: "h", draft: { ...emptyDraft, kind: "delete", target: "all" } });
  open("/jobs/new");
  expect((await screen.findByTestId("job-danger")).textContent).toContain("The identities, keys and twins of 240 devices are removed");
  write("job-confirm-count", "24");
  expect(screen.getByTestId("job-create").dataset.ready).toBe("false");
  write("job-confirm-count", "240");
  await ready();
  vi.mocked(ipc.previewJob).mockResolvedValue(preview({ count: 241 }));
  fireEvent.click(screen.getByTestId("job-create"));
  await screen.findByText(/241 devices by now/);
  expect(create.mock.calls[0]?.[0].expected).toBe(240);
  await screen.findByText(/twins of 241 devices/);
  expect(screen.getByTestId<HTMLInputElement>("job-confirm-count").value).toBe("");
  expect(screen.getByTestId("job-create").dataset.ready).toBe("false");
  expect(await violations()).toEqual([]);
});

test("a production hub has to be named before anything is done to it", async () => {
  useDrafts.setState({ hubId: "h", draft: { ...emptyDraft, kind: "reboot", target: "all" } });
  open("/jobs/new", true);
  fireEvent.change(await screen.findByTestId("confirm-name"), { target: { value: "plant" } });
  expect(screen.getByTestId("job-create").dataset.ready).toBe("false");
  write("confirm-name", "Plant");
  await ready();
});

test("a time is told here and in UTC, and one that has passed is refused", async () => {
  useDrafts.setState({ hubId: "h", draft: { ...emptyDraft, kind: "reboot", target: "all", utc: true } });
  open("/jobs/new");
  fireEvent.click(screen.getByTestId("job-later"));
  await ready();
  expect(screen.getByTestId("job-start-both").textContent).toMatch(/ is .*\d\d:\d\d UTC\./);
  write("job-start-at", "2001-01-01 10:00");
  await screen.findByText("This time has passed.");
  expect(screen.getByTestId("job-create").dataset.ready).toBe("false");
});

test("differences show what is there and what will be", async () => {
  vi.mocked(ipc.previewJob).mockResolvedValue(
    preview({ unchanged: 10, differences: [{ deviceId: "door-1", lines: [{ path: "desired.floor", before: null, after: 3 }] }] }),
  );
  useDrafts.setState({ hubId: "h", draft: { ...emptyDraft, kind: "updateTwin", target: "all", desired: '{"floor": 3}' } });
  open("/jobs/new");
  const table = await screen.findByTestId("dry-run-differences");
  expect(within(table).getAllByRole("cell").map((cell) => cell.textContent)).toEqual(["desired.floor", "nothing", "3", "and changes in 229 more devices"]);
});

// ---- one of them ---------------------------------------------------------------------------------
const openJob = (shown: Job, devices: JobDevice[], causes: { cause: string; count: number }[] = []) => {
  vi.spyOn(ipc, "getJob").mockResolvedValue(shown);
  const read = vi.spyOn(ipc, "jobDevices").mockResolvedValue({ devices, total: devices.length, causes });
  return { router: open(`/jobs/${shown.id}`), read };
};

test("a device opens with what it answered and the steps it was seen in", async () => {
  const phases = [
    { phase: "accepted" as const, at: "2026-11-21T10:00:00Z" },
    { phase: "done" as const, at: "2026-11-21T10:00:42Z" },
  ];
  const { router } = openJob(job(), [child({ phases })]);
  fireEvent.click(await screen.findByTestId("job-device"));
  const panel = await screen.findByTestId("job-device-panel");
  expect(panel.textContent).toContain("Door locked");
  expect(within(panel).getAllByTestId("job-phase").map((seen) => seen.dataset.phase)).toEqual(["accepted", "done"]);
  expect(panel.textContent).toContain("after 42s");
  expect(router.state.location.search).toBe("?device=door-1");
  expect(await violations()).toEqual([]);
  fireEvent.keyDown(panel, { key: "Escape" });
  expect(screen.queryByTestId("job-device-panel")).toBeNull();
});

test("failures stand together by cause, and a cause shows its devices", async () => {
  const failed = child({ state: "failed", cause: "status 501", reason: "It has no such method.", resultText: null });
  const { read } = openJob(job({ state: "failed", endedAt: "2026-11-21T10:01:00Z" }), [failed], [{ cause: "status 501", count: 3 }]);
  const cause = await screen.findByTestId("job-cause");
  expect(cause.dataset.count).toBe("3");
  fireEvent.click(cause);
  await waitFor(() => expect(read.mock.lastCall?.[1]).toMatchObject({ cause: "status 501", state: null }));
  fireEvent.click(screen.getAllByTestId("job-device-state").find((chip) => chip.dataset.state === "failed") as HTMLElement);
  await waitFor(() => expect(read.mock.lastCall?.[1]).toMatchObject({ cause: null, state: "failed" }));
});

test("cancelling says what it means for who runs it", async () => {
  const cancel = vi.spyOn(ipc, "cancelJob").mockResolvedValue(null);
  openJob(job({ id: "here-1", runner: "here" }), []);
  fireEvent.click(await screen.findByTestId("cancel-job"));
  await screen.findByText(/Devices that wait are left out/);
  fireEvent.click(screen.getByTestId("cancel-job-confirm"));
  await waitFor(() => expect(cancel).toHaveBeenCalledWith("here-1"));
  cleanup();
  openJob(job(), []);
  fireEvent.click(await screen.findByTestId("cancel-job"));
  await screen.findByText(/The hub cancels only what has not started/);
});

test("a job that has ended can be repeated, retried where it failed, and not be cancelled", async () => {
  const { router } = openJob(job({ state: "failed", running: 0, endedAt: "2026-11-21T10:01:00Z" }), []);
  expect((await screen.findByTestId("retry-job")).textContent).toBe("Retry 3 devices…");
  expect(screen.queryByTestId("cancel-job")).toBeNull();
  vi.spyOn(ipc, "jobRequest").mockReturnValue(new Promise(() => undefined));
  fireEvent.click(screen.getByTestId("repeat-job"));
  await waitFor(() => expect(router.state.location.search).toBe("?repeat=job-1"));
});

test("a job that there is not says so", async () => {
  vi.spyOn(ipc, "getJob").mockRejectedValue(problem("There is no such job.", "NotFound"));
  open("/jobs/gone");
  await screen.findByText("There is no such job");
});

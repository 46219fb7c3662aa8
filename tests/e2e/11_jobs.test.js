// Jobs: Microsoft's tutorials on scheduled jobs and on device jobs, through the screens.
import assert from "node:assert/strict";
import test from "node:test";
import { CTRL, ENTER, until, withApp } from "./app.js";
import { control, localService } from "./hub.js";

/** Opens a list of choices and takes one. */
async function choose(app, list, option) {
  await app.click(list);
  await app.click(option);
}

const newJob = async (app, kind) => {
  await app.go("/jobs/new");
  await app.see("new-job-form");
  if (kind !== "invokeMethod") await choose(app, "job-kind", `job-kind-${kind}`);
  await app.see("job-kind", { "data-kind": kind });
};

/** Types a time so many seconds from now, as the clock on the wall shows it. */
async function startIn(app, seconds) {
  const text = await app.evaluate((ahead) => {
    const time = new Date(Date.now() + ahead * 1000);
    const two = (number) => String(number).padStart(2, "0");
    const day = [time.getFullYear(), two(time.getMonth() + 1), two(time.getDate())].join("-");
    return `${day} ${[time.getHours(), time.getMinutes(), time.getSeconds()].map(two).join(":")}`;
  }, seconds);
  await app.click("job-later");
  await app.type("job-start-at", text);
}

const counted = (app, count) => app.see("dry-run", { "data-count": count, "data-fresh": true });

/** Makes the job and gives its id, from the page of it that follows. */
async function create(app) {
  await app.see("job-create", { "data-ready": true });
  await app.click("job-create");
  await app.see("job-page");
  return (await app.text("job-id")).trim();
}

/** From now on the page notes every state that the job is shown in. */
const noteStates = (app) =>
  app.evaluate(() => {
    const page = document.querySelector("[data-testid=job-page]");
    window.jobStates = [page.dataset.state];
    new MutationObserver(() => {
      if (window.jobStates.at(-1) !== page.dataset.state) window.jobStates.push(page.dataset.state);
    }).observe(page, { attributes: true });
  });

const ended = (app, state, patience = 60_000) => app.see("job-page", { "data-state": state }, patience);

const addFleet = async (app, model, count, prefix, fast) => {
  await app.click("add-simulated");
  await app.type("add-simulated-count", String(count));
  await app.type("add-simulated-prefix", prefix);
  await choose(app, "add-simulated-model", `model-${model}`);
  if (fast) await app.click("add-simulated-fast");
  await app.click("add-simulated-create");
  await app.gone("add-simulated-create");
};

test("a method and a twin change are scheduled on the hub for the devices of a query", async () => {
  await withApp("jobs-hub", {}, async (app, places) => {
    await app.startLocalHub();
    const hub = await localService(app, places);
    await app.click("nav-jobs");
    await app.reads("job-count", "0 jobs");
    await app.shots("110-jobs-empty", ["light", "dark"]);

    await app.go("/devices");
    await addFleet(app, "lock-door", 12, "door", true);
    await app.connected(12);
    // Slow enough to be seen running.
    await app.evaluate(async () => {
      const { invoke } = window.__TAURI_INTERNALS__;
      const [fleet] = await invoke("list_fleets");
      await invoke("set_fleet_faults", { id: fleet.id, faults: [{ kind: "lateAnswer", by: "3s", devices: 1, chance: 1 }] });
    });

    await newJob(app, "invokeMethod");
    await app.type("job-methodName", "lockDoor");
    await app.type("job-payload", '{"lockTime":"10m"}');
    await app.type("job-condition", "deviceId =");
    await app.reads("new-job-form", "The query cannot be read");
    await app.shots("111-new-job-mistake", ["light"]);
    await app.type("job-condition", "STARTSWITH(deviceId, 'door-')");
    await counted(app, 12);
    await app.click("job-runner-hub");
    await app.type("job-minutes", "30");
    await startIn(app, 20);
    await app.reads("job-review", /^Invoke lockDoor on 12 devices at \d\d:\d\d:\d\d, finish by/);
    await app.accessible("the form of a method");
    await app.shots("112-new-job-method");
    await startIn(app, 15);
    const locking = await create(app);
    await app.see("job-page", { "data-state": "scheduled", "data-runner": "hub" });
    await noteStates(app);

    await app.shots("113-job-scheduled", ["light"]);
    await ended(app, "completed");
    await app.reads("job-progress", "12 of 12");
    const seen = await app.evaluate(() => window.jobStates);
    assert.ok(seen.includes("running"), `it was seen running: ${seen}`);
    await app.see("job-device", { "data-state": "completed" });
    await app.click("job-device", { "data-device-id": "door-01" });
    await app.reads("job-device-result", "Door locked");
    await app.accessible("a job with a device open");
    await app.shots("114-job-done");

    await newJob(app, "updateTwin");
    await app.type("job-desired", '{"building": 43');
    await app.reads("new-job-form", "Not valid JSON");
    await app.type("job-desired", '{"building": "43", "floor": 3}');
    await app.type("job-condition", "STARTSWITH(deviceId, 'door-')");
    await app.click("job-runner-hub");
    await startIn(app, 40);
    await counted(app, 12);
    await app.reads("dry-run-differences", "desired.floor");
    await app.accessible("the form of a twin change");
    await app.shots("115-new-job-twin");
    await startIn(app, 10);
    const placing = await create(app);
    assert.notEqual(placing, locking);
    await ended(app, "completed");
    for (const number of ["01", "07", "12"]) {
      const twin = await control(hub, "twin", "show", `door-${number}`);
      assert.deepEqual([twin.properties.desired.building, twin.properties.desired.floor], ["43", 3]);
      assert.equal(twin.properties.reported.lock.state, "locked");
    }

    await app.click("nav-jobs");
    for (const id of [locking, placing]) await app.see("job-row", { "data-job-id": id, "data-state": "completed" });
    await app.see("job-state-filter", { "data-state": "completed", "data-count": 2 });
    await app.type("job-filter-text", "lockDoor");
    await app.reads("job-count", "1 job matches");
    await app.gone("job-row", { "data-job-id": placing });
    await app.click("job-filter-clear");
    await app.see("job-row", { "data-job-id": placing });
    await app.accessible("the list of jobs");
    await app.shots("116-jobs", ["light", "dark"]);

    await app.openDevice("door-03", "jobs");
    await app.see("job-row", { "data-job-id": locking });
    await app.shots("117-device-jobs", ["light"]);
    await app.go(`/jobs/${placing}`);
    await app.click("repeat-job");
    await counted(app, 12);
    await app.see("job-kind", { "data-kind": "updateTwin" });
    await app.reads("dry-run", "Unchanged");
  });
});

test("device jobs show their steps, wait for who is offline, are cancelled, and retried", async () => {
  await withApp("jobs-here", {}, async (app, places) => {
    await app.startLocalHub();
    const hub = await localService(app, places);
    await addFleet(app, "device-jobs", 6, "plant", false);
    await app.connected(6);

    await app.click("run-job");
    await choose(app, "job-kind", "job-kind-firmwareUpdate");
    await counted(app, 6);
    await app.click("sample-package");
    await app.type("job-version", "2.0.0");
    await app.reads("job-review", "Update the firmware of 6 devices to 2.0.0 now");
    await app.accessible("the form of a firmware job");
    await app.shots("120-new-job-firmware");
    await create(app);
    await app.see("job-page", { "data-state": "running" });
    await app.see("running-jobs", { "data-count": 1 });
    await app.see("job-device", { "data-device-id": "plant-01" });
    assert.equal((await app.facts("job-device", "device-id")).length, 6, "one job has six devices");
    await app.click("job-device", { "data-device-id": "plant-01" });
    await app.see("job-phase", { "data-phase": "downloading" }, 60_000);
    await app.shots("121-job-running");
    await ended(app, "completed", 180_000);
    await app.reads("job-progress", "6 of 6");
    for (const phase of ["accepted", "downloading", "applying", "rebooting", "reconnected", "done"]) await app.see("job-phase", { "data-phase": phase });
    await app.gone("running-jobs");
    await app.shots("122-job-phases");
    assert.equal((await control(hub, "twin", "show", "plant-04")).properties.reported.firmware.version, "2.0.0");

    // One device is away: the job waits for it, and is cancelled instead.
    await app.evaluate(() => window.__TAURI_INTERNALS__.invoke("stop_simulated", { deviceIds: ["plant-06"] }));
    await app.connected(5);
    await newJob(app, "reboot");
    await app.click("job-target-all");
    await counted(app, 6);
    await app.reads("dry-run", "1 device is offline");
    await create(app);
    await app.see("job-device-state", { "data-state": "completed", "data-count": 5 }, 60_000);
    await app.see("job-device", { "data-device-id": "plant-06", "data-state": "enqueued" });
    await app.shots("123-job-waits", ["light"]);
    await app.press(CTRL, "k");
    await app.type("palette-input", "under way");
    await app.shot("124-palette");
    await app.press(ENTER);
    await app.click("cancel-job");
    await app.shots("125-cancel-job", ["light"]);
    await app.click("cancel-job-confirm");
    await ended(app, "cancelled");
    await app.reads("job-progress", "6 of 6, 1 cancelled");

    await app.click("retry-job");
    await counted(app, 1);
    await app.see("job-picked", { "data-count": 1 });
    await app.reads("job-review", "Reboot 1 device now");
    await app.evaluate(() => window.__TAURI_INTERNALS__.invoke("start_simulated", { deviceIds: ["plant-06"], confirmation: null }));
    await app.connected(6);
    await create(app);
    await ended(app, "completed");

    // A device that does not answer makes a failure with a cause, by which the devices can be seen.
    await newJob(app, "invokeMethod");
    await app.type("job-methodName", "danceTango");
    await app.click("job-target-all");
    await counted(app, 6);
    await create(app);
    await ended(app, "failed");
    await app.see("job-cause", { "data-count": 6 });
    await app.click("job-cause");
    await app.see("job-device", { "data-state": "failed" });
    await app.accessible("a job with failures");
    await app.shots("126-job-failed");

    // Nothing is done when a job that has not begun is cancelled.
    await newJob(app, "reboot");
    await app.click("job-target-all");
    await startIn(app, 3600);
    await counted(app, 6);
    await create(app);
    await ended(app, "scheduled");
    await app.click("cancel-job");
    await app.click("cancel-job-confirm");
    await ended(app, "cancelled");

    // Deleting wants the number of devices.
    await app.go("/devices");
    for (const id of ["plant-01", "plant-02"]) await app.clickOn(`${app.selector("device-row", { "data-device-id": id })} input`);
    await app.click("run-job");
    await app.see("job-picked", { "data-count": 2 });
    await choose(app, "job-kind", "job-kind-delete");
    await counted(app, 2);
    await app.see("job-danger");
    await app.type("job-confirm-count", "6");
    await app.see("job-create", { "data-ready": false });
    await app.accessible("the form of a destructive job");
    await app.shots("127-job-delete");
    await app.type("job-confirm-count", "2");
    await create(app);
    await ended(app, "completed");
    await until("the devices are gone from the hub", async () => (await control(hub, "device", "list")).length === 4);
    await app.go("/devices");
    await app.see("device-count", { "data-total": 4 });
    await app.click("nav-jobs");
    await app.reads("job-count", "6 jobs");
    await app.accessible("the list of jobs");
    await app.shots("128-jobs");
    await app.evaluate(() => window.__TAURI_INTERNALS__.invoke("set_theme", { theme: "highContrast" }));
    await app.see("theme-menu", { "data-theme": "highContrast" });
    await app.shot("129-jobs-high-contrast");
    await app.theme("light");
  });
});

// A fleet: made with a fault, watched, looked into, changed while it runs; its models; and again after a restart.
import assert from "node:assert/strict";
import test from "node:test";
import { CTRL, ENTER, scratch, until, withApp } from "./app.js";
import { control, localService, serveHub } from "./hub.js";

const RIGHT = "\uE014";

const counted = async (app, state) => Number((await app.facts(`count-${state}`, "count"))[0]?.count);

/** Waits until so many devices of the fleet are in this state. */
const inState = (app, state, count, patience = 30_000) => app.see(`count-${state}`, { "data-count": count }, patience);

/** Replaces what an editor holds, lines and all: the driver's keys know none. */
async function paste(app, testId, text) {
  const content = `${app.selector(testId)} .cm-content`;
  await app.clickOn(content);
  await app.press(CTRL, "a");
  await app.evaluate(
    (selector, pasted) => {
      const clipboardData = new DataTransfer();
      clipboardData.setData("text/plain", pasted);
      document.querySelector(selector).dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }));
    },
    content,
    text,
  );
}

const invoke = (app, deviceId, methodName, payloadText = "", responseTimeoutSeconds = 10) =>
  app.evaluate((request) => window.__TAURI_INTERNALS__.invoke("invoke_method", { request }), {
    deviceId,
    methodName,
    payloadText,
    responseTimeoutSeconds,
    connectTimeoutSeconds: 10,
  });

test("a fleet of twenty is made, watched and looked into, and a fault on a running device shows its effect", async (t) => {
  await withApp("simulator", {}, async (app, places) => {
    await app.startLocalHub();
    const hub = await localService(app, places);
    await app.click("nav-simulator");
    await app.reads("new-fleet", "New fleet");
    await app.shots("80-simulator-empty", ["light", "dark"]);

    await app.click("new-fleet");
    await app.type("add-simulated-prefix", "plant");
    await app.click("add-simulated-model");
    await app.click("model-thermostat");
    await app.click("add-simulated-fast");
    await app.click("add-simulated-more");
    await app.click("add-tag");
    await app.type("tag-name", "site");
    await app.type("tag-text", "north, south");
    await app.shots("81-new-fleet");
    await app.click("add-simulated-create");
    await app.see("fleet-page");
    await inState(app, "connected", 20);
    assert.equal((await control(hub, "twin", "show", "plant-01")).tags.site, "north");
    assert.equal((await control(hub, "twin", "show", "plant-02")).tags.site, "south");

    // Half the fleet loses its connection, again and again.
    await app.click("fault-flapping");
    await app.type("fault-flapping-lasts", "2s");
    await app.press(ENTER);
    await app.type("fault-flapping-every", "4s");
    await app.press(ENTER);
    await app.type("fault-flapping-devices", "50");
    await app.press(ENTER);
    await until("some devices are offline, and never all", async () => {
      const waiting = (await counted(app, "waiting")) + (await counted(app, "connecting"));
      return waiting > 0 && waiting < 20;
    }, 30_000);
    await app.shots("82-fleet-faults");
    await app.click("fault-flapping");
    await inState(app, "connected", 20, 60_000);

    // One device: its console, its telemetry, its memory, and a fault of its own.
    await app.evaluate(() => document.querySelector("[data-testid=dot-grid]").focus());
    await app.press(RIGHT);
    await app.reads("dot-status", "plant-01");
    await app.press(ENTER);
    await app.reads("drawer-title", "plant-01");
    await app.reads("console-lines", /telemetry/i, {}, 30_000);
    await app.shots("83-console");
    await app.click("drawer-telemetry");
    await until("two values of a series are drawn", async () => (await app.facts("series", "points")).some(({ points }) => Number(points) >= 2), 30_000);
    await app.shots("84-telemetry");
    await app.click("drawer-faults");
    const before = await invoke(app, "plant-01", "getMaxMinReport", '{"since":"2026-01-01T00:00:00Z"}');
    t.diagnostic(`before the fault: ${before.status}`);
    await app.clickOn("aside [data-testid=fault-wrongAnswer]");
    await until("it has a fault of its own", () => app.evaluate(() => document.querySelector("aside [data-testid=switched-fault]") !== null));
    await app.shots("85-device-faults");
    assert.equal((await invoke(app, "plant-01", "getMaxMinReport", '{"since":"2026-01-01T00:00:00Z"}')).status, 500);
    assert.notEqual((await invoke(app, "plant-02", "getMaxMinReport", '{"since":"2026-01-01T00:00:00Z"}')).status, 500);
    await app.click("drawer-console");
    await app.reads("console-lines", "getMaxMinReport");
    await app.click("drawer-memory");
    await app.see("device-memory");
    await app.click("close-drawer");
    await app.gone("drawer-title");

    await app.click("stop-fleet");
    await inState(app, "stopped", 20);
    await app.shots("86-fleet-stopped", ["light"]);
    await app.click("start-fleet");
    await inState(app, "connected", 20);

    // What ran is started again with the hub; the fault of its own is still there.
    await app.restart();
    await app.startLocalHub();
    await app.click("nav-simulator");
    await inState(app, "connected", 20);
    assert.equal((await invoke(app, "plant-01", "getMaxMinReport", '{"since":"2026-01-01T00:00:00Z"}')).status, 500);

    await app.press(CTRL, "k");
    await app.type("palette-input", "Stop fleet");
    await app.shot("87-palette");
    await app.press(ENTER);
    await inState(app, "stopped", 20);

    await app.click("fleet-more");
    await app.click("delete-fleet");
    await app.shots("88-delete-fleet", ["light"]);
    await app.click("delete-fleet-confirm");
    await app.gone("fleet-page");
    await until("the hub has no device left", async () => (await control(hub, "device", "list")).length === 0);
  });
});

test("a model is duplicated, its mistakes are marked where they are, and a fleet is made of it", async () => {
  await withApp("models", {}, async (app) => {
    await app.startLocalHub();
    await app.click("nav-simulator");
    await app.click("models");
    await app.click("model", { "data-model": "reboot" });
    await app.see("model-editor", { "data-model": "reboot", "data-valid": true });
    await app.shots("89-model-built-in");
    await app.click("duplicate-model");
    await app.see("model-editor", { "data-valid": true });
    const source = await app.evaluate(() => window.__TAURI_INTERNALS__.invoke("read_model", { reference: "reboot" }));
    await paste(app, "model-source", 'name = "mine"\nsteps = 5\n');
    await app.see("model-problem", { "data-line": 2 });
    await app.shots("90-model-problem");
    assert.ok(!(await (await app.browser.$(app.selector("save-model"))).isEnabled()), "what is wrong cannot be saved");
    await paste(app, "model-source", source.replace(/^name = .*$/m, 'name = "mine"'));
    await app.see("model-editor", { "data-valid": true });
    await app.click("save-model");
    await app.see("model-editor", { "data-model": "mine.toml" });
    await app.shots("91-model-own", ["light", "dark"]);

    await app.click("nav-simulator");
    await app.click("new-fleet");
    await app.type("add-simulated-count", "3");
    await app.click("add-simulated-model");
    await app.click("model-mine.toml");
    await app.click("add-simulated-create");
    await inState(app, "connected", 3);
    const refused = await app.evaluate(() => window.__TAURI_INTERNALS__.invoke("delete_model", { reference: "mine.toml" }).then(() => null, (error) => error));
    assert.equal(refused.code, "InvalidInput", "a model that a fleet uses stays");
  });
});

test("on a hub that is not local nothing starts before its load is confirmed, in the window and behind it", async () => {
  const hubPlaces = await scratch();
  const hub = await serveHub(hubPlaces.data);
  try {
    await withApp("load", { env: { SSL_CERT_FILE: hub.caFile, SSL_CERT_DIR: null } }, async (app) => {
      await app.type("connection-string", hub.serviceConnectionString);
      await app.click("save-hub");
      await app.see("connected-count", { "data-total": 0 });
      const devices = () => control({ connectionString: hub.serviceConnectionString, caFile: hub.caFile }, "device", "list");

      const refused = await app.evaluate(async () => {
        const { invoke } = window.__TAURI_INTERNALS__;
        const fleet = { name: "x", prefix: "x", count: 5, model: "thermostat", timeScale: 1, perSecond: 10, tags: [] };
        const { source } = await invoke("draft_fleet", { fleet });
        return invoke("create_fleet", { source, start: true, confirmation: null }).then(() => null, (error) => error);
      });
      assert.equal(refused.code, "NeedsConfirmation");
      assert.deepEqual(await devices(), []);

      await app.click("nav-simulator");
      await app.click("new-fleet");
      await app.type("add-simulated-count", "600");
      await app.click("add-simulated-model");
      await app.click("model-thermostat");
      await app.click("add-simulated-create");
      await app.see("load-notice", { "data-devices": 600 });
      await app.shots("92-load-notice");
      assert.deepEqual(await devices(), [], "nothing is made before the person has said so");
      await app.click("add-simulated-create");
      await app.see("fleet-page");
      await until("the devices are on the hub", async () => (await devices()).length === 600, 30_000);
      await app.shots("93-fleet-remote", ["light"]);
      await app.click("stop-fleet");
      await app.see("count-stopped", { "data-count": 600 }, 30_000);
      await app.click("start-fleet");
      await app.see("load-notice", { "data-devices": 600 });
    });
  } finally {
    await hub.stop();
    await hubPlaces.remove();
  }
});

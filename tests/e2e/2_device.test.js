import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { access } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { CTRL, ENTER, until, withApp } from "./app.js";
import { control, localService } from "./hub.js";

const ROOT = join(import.meta.dirname, "..", "..");
const PYTHON = join(ROOT, "target", "conformance-venv", "bin", "python");
const TUTORIAL = join(ROOT, "tests", "conformance", "tutorial", "reboot_device.py");

/** The JSON that a read-only view shows. */
const shown = async (app, testId) => JSON.parse(await app.text(testId));

test("a device's twin is edited, reviewed and applied", async () => {
  await withApp("twin", {}, async (app, places) => {
    await app.startLocalHub();
    await app.addSimulated({ count: 3 });
    await app.connected(3);
    const hub = await localService(app, places);
    await app.openDevice("sim-01");

    await app.type("twin-tags-editor", '{"site":"north","floor":2}');
    await app.click("twin-review-tags");
    assert.deepEqual(await shown(app, "twin-patch"), { site: "north", floor: 2 });
    await app.shots("20-twin-review");
    await app.click("twin-apply-tags");
    await app.gone("twin-patch");
    assert.deepEqual((await control(hub, "twin", "show", "sim-01")).tags, { site: "north", floor: 2 });

    // A removed line is null in the patch, and gone from the twin.
    await app.type("twin-tags-editor", '{"site":"south"}');
    await app.click("twin-review-tags");
    assert.deepEqual(await shown(app, "twin-patch"), { site: "south", floor: null });
    await app.click("twin-apply-tags");
    await app.gone("twin-patch");
    assert.deepEqual((await control(hub, "twin", "show", "sim-01")).tags, { site: "south" });

    await app.type("twin-desired-editor", '{"interval":30}');
    await app.press(CTRL, ENTER);
    assert.deepEqual(await shown(app, "twin-patch"), { interval: 30 });
    await app.press(CTRL, ENTER);
    await app.gone("twin-patch");
    assert.equal((await control(hub, "twin", "show", "sim-01")).properties.desired.interval, 30);

    await app.type("twin-desired-editor", '{"interval":');
    await app.reads("twin-desired-section", "Not valid JSON yet");
    assert.ok(!(await (await app.browser.$(app.selector("twin-review"))).isEnabled()), "what is not JSON cannot be reviewed");
  });
});

test("a reboot is watched live in the reported twin, and methods tell what is wrong", async () => {
  await withApp("methods", {}, async (app) => {
    await app.startLocalHub();
    await app.click("add-simulated");
    await app.type("add-simulated-count", "1");
    await app.type("add-simulated-prefix", "boiler");
    await app.click("add-simulated-model");
    await app.click("model-reboot");
    await app.click("add-simulated-fast");
    await app.click("add-simulated-create");
    await app.connected(1);

    await app.openDevice("boiler-01", "methods");
    await app.nameMethod("rebootDevice");
    await app.type("method-payload", '{"delay": oops}');
    await app.reads("method-form", "Not valid JSON");
    assert.ok(!(await (await app.browser.$(app.selector("method-invoke"))).isEnabled()), "what is not JSON cannot be sent");
    await app.shots("22-method-invalid", ["light", "dark"]);
    await app.type("method-payload", '{"reason":"test"}');
    await app.click("method-invoke");
    await app.see("method-result", { "data-status": 200 });
    await until("the duration is shown", async () => Number((await app.facts("method-duration", "ms"))[0]?.ms) > 0);
    await app.shots("23-method-result");

    // Started again with the twin in sight: what changes is marked.
    const before = (await app.evaluate(() => window.__TAURI_INTERNALS__.invoke("get_twin", { deviceId: "boiler-01" }))).reportedVersion;
    await app.openDevice("boiler-01");
    await app.reads("twin-reported", "rebootTime");
    await app.evaluate(() => {
      window.__TAURI_INTERNALS__.invoke("invoke_method", {
        request: { deviceId: "boiler-01", methodName: "rebootDevice", payloadText: "", responseTimeoutSeconds: 30, connectTimeoutSeconds: 0 },
      });
    });
    await until("a line of the reported twin is marked", () => app.evaluate(() => document.querySelector("[data-testid=twin-reported] [data-changed]") !== null));
    await app.reads("twin-reported", "rebootTime");
    await app.shots("24-twin-live");
    assert.ok((await app.evaluate(() => window.__TAURI_INTERNALS__.invoke("get_twin", { deviceId: "boiler-01" }))).reportedVersion > before);

    await app.go("/devices");
    await app.click("select-all");
    await app.click("stop-simulated");
    await app.connected(0);
    await app.openDevice("boiler-01", "methods");
    await app.nameMethod("rebootDevice");
    await app.click("method-invoke");
    await app.see("error", { "data-code": "DeviceOffline" });
    await app.reads("method-result", "The device is not connected");
    await app.shots("25-method-offline");
  });
});

test("the tutorial's own device script reboots when the method screen says so", async (t) => {
  await access(PYTHON).catch(() => assert.fail("the Python clients are missing: scripts/setup --conformance"));
  await withApp("tutorial", {}, async (app, places) => {
    await app.startLocalHub();
    await app.click("create-device");
    await app.type("create-device-id", "tutorial");
    await app.click("create-device-submit");
    await app.reads("device-title", "tutorial");
    await app.click("copy-connection-string");
    await app.go("/welcome");
    const connectionString = await app.paste("connection-string");
    assert.match(connectionString, /^HostName=localhost;DeviceId=tutorial;SharedAccessKey=/);

    const device = spawn(PYTHON, [TUTORIAL], {
      env: { ...process.env, DEVICE_CONNECTION_STRING: connectionString, SSL_CERT_FILE: join(places.data, "local-hub", "ca.pem"), PYTHONUNBUFFERED: "1" },
      stdio: ["ignore", "pipe", "inherit"],
    });
    try {
      const lines = [];
      createInterface({ input: device.stdout }).on("line", (line) => lines.push(line));
      await until("the script waits for commands", () => lines.some((line) => line.includes("waiting for commands")), 30_000);
      await app.openDevice("tutorial", "methods");
      await app.connected(1);
      await app.nameMethod("rebootDevice");
      await app.type("method-response-timeout", "60");
      await app.click("method-invoke");
      await app.see("method-result", { "data-status": "running" });
      await app.shots("26-method-running", ["dark"]);
      await app.see("method-result", { "data-status": 200 }, 40_000);
      const [{ ms }] = await app.facts("method-duration", "ms");
      assert.ok(Number(ms) >= 20_000, `it took ${ms} ms`);
      assert.ok(lines.includes("Device rebooted"));
      t.diagnostic(`answered after ${ms} ms`);
      await app.reads("method-result", "This is the response from the device");
      await app.click("device-tab-twin");
      await app.reads("twin-reported", "rebootTime");
      await app.shots("27-tutorial-twin", ["light"]);
    } finally {
      device.kill("SIGKILL");
    }
  });
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { until, withApp } from "./app.js";

const DEVICES = 20;

test("a newcomer, in under ten clicks, sees 20 simulated devices update their firmware live", async () => {
  await withApp("newcomer", {}, async (app) => {
    await app.see("start-local-hub");
    await app.shots("1-welcome");
    await app.startLocalHub();
    await app.shots("2-no-devices");

    await app.click("add-simulated");
    await app.see("add-simulated-create");
    await app.shots("3-add-simulated");
    await app.click("add-simulated-create");
    await app.connected(DEVICES);
    await app.shots("4-devices");

    await app.click("select-all");
    await app.reads("selected-count", String(DEVICES));
    await app.shots("5-selected");
    await app.click("update-firmware");
    await app.see("sample-package");
    await app.shots("6-update-dialog-empty");
    await app.click("sample-package");
    await app.see("start-update");
    await until("a package is chosen", async () => (await app.browser.$(app.selector("start-update"))).isEnabled());
    await app.shots("7-update-dialog");
    await app.click("start-update");

    const seen = new Set();
    const stages = async () => {
      const counts = await app.facts("stage-count", "stage", "count");
      for (const { stage, count } of counts) if (Number(count) > 0) seen.add(stage);
      return Object.fromEntries(counts.map(({ stage, count }) => [stage, Number(count)]));
    };
    await until("devices download", async () => (await stages()).downloading > 0, 60_000);
    await app.shots("8-update-downloading");
    await app.theme("dark");
    await until("devices apply", async () => (await stages()).applying > 0, 120_000);
    await app.shot("9-update-live-dark");
    await app.shots("9-update-applying");
    await until("every device is done", async () => (await stages()).completed === DEVICES, 180_000);
    await app.see("update-state", { "data-state": "completed" });
    assert.equal(await app.text("update-succeeded"), String(DEVICES));
    assert.equal(await app.text("update-failed"), "0");
    for (const stage of ["downloading", "applying", "completed"]) assert.ok(seen.has(stage), `${stage} was on the screen; seen: ${[...seen]}`);
    await app.shots("10-update-done");
    assert.ok(app.clicks < 10, `${app.clicks} clicks`);
    console.log(`      ${app.clicks} clicks`);

    // What a second look finds.
    await app.openDevice("sim-01");
    await app.reads("twin-reported", "completed");
    await app.shots("14-twin-after");
    await app.go("/devices");
    await app.click("select-all");
    await app.gone("selected-count");
    await until("the list shows the new firmware", async () => (await app.facts("device-row", "firmware")).some(({ firmware }) => /completed/i.test(firmware)));
    await app.shots("11-devices-after");
    await app.go("/updates");
    await app.see("update-row");
    await app.shots("12-updates");
    await app.go("/local-hub");
    await app.see("stop-local-hub");
    await app.shots("13-local-hub");
  });
});

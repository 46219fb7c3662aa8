import assert from "node:assert/strict";
import { test } from "node:test";
import { CTRL, ENTER, until, withApp } from "./app.js";
import { control, localService } from "./hub.js";

/** The JSON that a read-only view shows. */
const shown = async (app, testId) => JSON.parse(await app.text(testId));
const desiredOf = async (hub, id) => {
  const { $metadata: _, $version: __, ...values } = (await control(hub, "twin", "show", id)).properties.desired;
  return values;
};
const edited = (app, testId) => app.evaluate((selector) => document.querySelector(selector).innerText, `${app.selector(testId)} .cm-content`);
const focused = (app) => app.evaluate(() => document.activeElement?.value ?? null);

test("two people change a twin: what collides is chosen by keyboard, the rest goes together, and the history tells both", async () => {
  await withApp("merge", {}, async (app, places) => {
    await app.startLocalHub();
    await app.addSimulated({ count: 1 });
    await app.connected(1);
    const hub = await localService(app, places);
    await app.openDevice("sim-01");
    await app.type("twin-desired-editor", '{"interval":30,"mode":"day","led":{"on":true}}');
    await app.press(CTRL, ENTER);
    await app.see("twin-patch");
    await app.press(CTRL, ENTER);
    await app.gone("twin-patch");
    await app.see("twin-drift", { "data-count": 3 });
    await app.shots("28-twin-drift");

    await app.type("twin-desired-editor", '{"interval":60,"mode":"day","led":{"on":true},"site":"x"}');
    await control(hub, "twin", "update", "sim-01", '{"properties":{"desired":{"interval":90,"mode":"night","led":null}}}');
    await app.reads("twin-conflict", "while you were editing");
    await app.press(CTRL, ENTER);
    await app.reads("merge-collisions", "interval");
    await app.reads("merge-quiet", /mode.*led.*site/s);
    await app.shots("29-merge");
    // The first choice has the focus; the arrow goes to the second, which is mine.
    await until("the choice has the focus", async () => (await focused(app)) !== null && (await focused(app)) !== "");
    await app.press("\uE015");
    await until("mine is chosen", () => app.evaluate(() => document.querySelector("[data-testid=merge-mine]").checked));
    assert.deepEqual(await shown(app, "merge-patch"), { interval: 60, site: "x" });
    await app.shots("30-merge-chosen");
    await app.press(ENTER);
    await app.gone("merge-apply");
    await until("both are there", async () => {
      const desired = await desiredOf(hub, "sim-01");
      assert.deepEqual(desired, { interval: 60, mode: "night", site: "x" });
      return true;
    });

    await app.click("device-tab-history");
    await app.reads("history", /from here.*from elsewhere.*from here/s);
    const paths = (await app.facts("history-path", "path")).map(({ path }) => path);
    assert.deepEqual(paths.slice(0, 5), ["interval", "site", "interval", "led", "mode"]);
    await app.shots("31-history");
    // Near its limit a section says so.
    const half = "x".repeat(3700);
    await control(hub, "twin", "update", "sim-01", JSON.stringify({ tags: { a: half, b: half } }));
    await app.click("device-tab-twin");
    await app.reads("twin-tags-section", "nearly full");
    await app.shots("36-nearly-full");
    await app.click("device-tab-history");
    // It goes on living while it is looked at.
    await control(hub, "twin", "update", "sim-01", '{"tags":{"hall":"B"}}');
    await app.reads("history", "hall");
  });
});

test("templates fill calls and twins, a call becomes a template, and the history shows it all", async () => {
  await withApp("templates", {}, async (app, places) => {
    await app.startLocalHub();
    await app.click("add-simulated");
    await app.type("add-simulated-count", "1");
    await app.type("add-simulated-prefix", "door");
    await app.click("add-simulated-model");
    await app.click("model-lock-door");
    await app.click("add-simulated-fast");
    await app.click("add-simulated-create");
    await app.connected(1);
    const hub = await localService(app, places);

    await app.openDevice("door-01", "methods");
    await app.click("template-menu-method");
    await app.click("template-lock-door");
    await until("the payload is filled", async () => (await edited(app, "method-payload")).includes("10m"));
    await app.type("variable-lockTime", "5m");
    await until("the payload follows", async () => (await edited(app, "method-payload")).includes("5m"));
    await app.shots("32-template-call");
    await app.click("method-invoke");
    await app.see("method-result", { "data-status": 200 });

    await app.click("call-keep");
    await app.type("template-name", "Lock for a while");
    await app.type("template-body", '{"lockTime":"{{howLong}}"}');
    await app.type("default-howLong", "1h");
    await app.shots("33-template-save");
    await app.click("template-save-submit");
    await app.gone("template-save-submit");
    await app.click("template-menu-method");
    await app.reads("template-1", "Lock for a while");
    await app.click("template-1");
    await until("the payload has the default", async () => (await edited(app, "method-payload")).includes("1h"));
    await app.click("call-edit");
    await until("the earlier call can be edited", async () => (await edited(app, "method-payload")).includes("5m"));

    await app.click("call-repeat");
    await until("the call was made again", async () => (await app.facts("method-call", "testid")).length === 2);
    await app.see("method-result", { "data-status": 200 });

    await app.click("device-tab-twin");
    await app.click("template-menu-twin");
    await app.click("template-door-place");
    await app.type("variable-floor", "4");
    await app.click("template-use");
    await until("the editor holds it", async () => (await edited(app, "twin-desired-editor")).includes('"floor": 4'));
    await app.shots("34-template-twin");
    await app.click("twin-review");
    assert.deepEqual(await shown(app, "twin-patch"), { building: 43, floor: 4 });
    await app.click("twin-apply");
    await app.gone("twin-patch");
    assert.deepEqual(await desiredOf(hub, "door-01"), { building: 43, floor: 4 });

    await app.click("device-tab-history");
    await app.reads("history", /building.*Method lockDoor/s);
    await app.shots("35-history-of-door");
  });
});

test("drift tells a device that is at it from one that refused, and is calm when it has done what is desired", async () => {
  await withApp("drift", {}, async (app) => {
    await app.startLocalHub();
    await app.click("add-simulated");
    await app.type("add-simulated-count", "1");
    await app.type("add-simulated-prefix", "room");
    await app.click("add-simulated-model");
    await app.click("model-thermostat");
    await app.click("add-simulated-create");
    await app.connected(1);
    await app.openDevice("room-01");
    const wish = async (text) => {
      await app.type("twin-desired-editor", text);
      await app.press(CTRL, ENTER);
      await app.see("twin-patch");
      await app.press(CTRL, ENTER);
      await app.gone("twin-patch");
    };
    await wish('{"targetTemperature":23}');
    await app.reads("twin-drift", /targetTemperature.*at it.*heating or cooling/s);
    await app.see("twin-drift", { "data-count": 0 });
    await app.reads("twin-drift", "reports all that is desired");
    await app.shots("37-no-drift");
    await wish('{"targetTemperature":999}');
    await app.reads("twin-drift", /targetTemperature.*Refused by the device with 400/s);
    await app.shots("38-drift-refused");
    await app.click("device-tab-history");
    await app.reads("history", /by the device.*from here.*by the device.*from here/s);
    await app.shots("39-history-of-device");
  });
});

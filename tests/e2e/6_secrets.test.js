import assert from "node:assert/strict";
import { test } from "node:test";
import { withApp } from "./app.js";
import { control, keyOf, localService } from "./hub.js";
import { absentFrom, absentFromWebView, watchMessages } from "./secrets.js";

test("no key of the local hub reaches the window or the log, whatever screen is opened", async () => {
  await withApp("secrets", { env: { RUST_LOG: "trace" } }, async (app, places) => {
    await watchMessages(app);
    await app.startLocalHub();
    await app.addSimulated({ count: 5 });
    await app.connected(5);
    const hub = await localService(app, places);
    const keys = [keyOf(hub.connectionString)];
    for (const id of ["sim-01", "sim-05"]) keys.push(keyOf((await control(hub, "device", "connection-string", id)).connectionString));
    assert.equal(new Set(keys).size, 3);

    await app.openDevice("sim-01");
    await app.reads("twin-reported", "{");
    await app.click("copy-connection-string");
    await app.click("device-tab-methods");
    await app.nameMethod("firmwareUpdate");
    await app.click("method-invoke");
    await app.see("method-result");
    await absentFromWebView(app, keys, "sim-01");
    for (const screen of ["/devices", "/updates", "/local-hub", "/welcome"]) {
      await app.go(screen);
      await app.see("hub-switcher");
      await absentFromWebView(app, keys, "sim-01");
    }
    absentFrom("the log", await app.log(), keys);
  });
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { scratch, until, withApp } from "./app.js";
import { bareBus, keyringBus } from "./buses.js";
import { keyOf, serveHub } from "./hub.js";
import { absentFromFiles } from "./secrets.js";

/** Each of these systems keeps no connection string, and says so. */
const systems = [
  {
    name: "without a Secret Service",
    short: "no-service",
    bus: bareBus,
    says: /No keychain was found/,
  },
  {
    name: "without a session bus",
    short: "no-bus",
    bus: async () => ({ env: { DBUS_SESSION_BUS_ADDRESS: "unix:path=/nonexistent/bus" }, stop: () => undefined }),
    says: /No keychain was found/,
  },
  {
    name: "with a keyring that stays locked",
    short: "locked",
    bus: async (folder) => {
      const bus = await keyringBus(folder);
      await bus.lock();
      return bus;
    },
    says: null,
  },
  {
    name: "with a keyring that never answers",
    short: "silent",
    bus: async (folder) => {
      const bus = await keyringBus(folder);
      bus.silence();
      return bus;
    },
    says: /did not answer/,
    // Adding a hub would wait a minute for the person to type a password.
    adds: false,
  },
];

for (const system of systems) {
  test(`${system.name} Twindeck says so calmly, works for the session, and writes no key down`, async () => {
    const hubPlaces = await scratch();
    const hub = await serveHub(hubPlaces.data);
    const bus = await system.bus(hubPlaces.root);
    try {
      const env = { SSL_CERT_FILE: hub.caFile, SSL_CERT_DIR: null, ...bus.env };
      await withApp(system.short, { env }, async (app, places) => {
        if (system.says) {
          await app.reads("keychain-warning", system.says);
          await app.shots(`40-keychain-${system.short}`);
        }
        if (system.adds === false) return;
        await app.type("connection-string", hub.serviceConnectionString);
        await app.reads("connection-check", "Policy iothubowner");
        await app.click("save-hub");
        await app.see("connected-count", { "data-total": 0 });
        await app.reads("session-key", "Key kept until you quit");
        await app.see("add-simulated");
        await app.shots(`41-session-${system.short}`, ["light"]);
        await app.go("/welcome");
        await app.reads("saved-hub", "Key kept until you quit");

        await app.restart();
        await app.see("start-local-hub");
        await until("the list of hubs is read", () => app.evaluate(() => window.__TAURI_INTERNALS__.invoke("app_state").then((state) => state.hubs.length === 0)));
        await app.gone("saved-hub");
        const key = keyOf(hub.serviceConnectionString);
        const files = (await absentFromFiles(places.data, [key])) + (await absentFromFiles(places.home, [key])) + (await absentFromFiles(process.env.HOME, [key]));
        assert.ok(files > 0);
      });
    } finally {
      await bus.stop();
      await hub.stop();
      await hubPlaces.remove();
    }
  });
}

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { test } from "node:test";
import { NARROW, scratch, until, WIDE, withApp } from "./app.js";
import { keyOf, serveHub } from "./hub.js";

test("a port that is taken is named, with what to do, and once it is free the hub starts", async () => {
  const taken = createServer().listen(8883, "127.0.0.1");
  await once(taken, "listening");
  try {
    await withApp("port", {}, async (app) => {
      await app.click("start-local-hub");
      await app.see("error", { "data-code": "PortInUse" });
      await app.reads("error", /8883.*Stop the program/);
      await app.shots("50-port-in-use");
      taken.close();
      await once(taken, "close");
      await app.startLocalHub();
    });
  } finally {
    taken.close();
  }
});

test("a wrong key and an unknown host are told apart, and nothing is saved", async () => {
  const places = await scratch();
  const hub = await serveHub(places.data);
  try {
    await withApp("wrong-key", { env: { SSL_CERT_FILE: hub.caFile, SSL_CERT_DIR: null } }, async (app) => {
      const other = Buffer.alloc(32, 7).toString("base64");
      await app.type("connection-string", hub.serviceConnectionString.replace(keyOf(hub.serviceConnectionString), other));
      await app.click("save-hub");
      await app.see("error", { "data-code": "Unauthorized" });
      await app.reads("error", /refused the key.*Paste the connection string again/);
      await app.shots("51-wrong-key");

      await app.type("connection-string", `HostName=nobody.invalid;SharedAccessKeyName=service;SharedAccessKey=${other}`);
      await app.gone("error");
      await app.resize(NARROW);
      await app.click("save-hub");
      await app.see("error", { "data-code": "UnknownHost" }, 30_000);
      const inSight = (selector) => document.querySelector(selector).getBoundingClientRect().bottom <= window.innerHeight;
      await until("the message is in sight in a small window", () => app.evaluate(inSight, app.selector("error")));
      await app.shot("52-unknown-host-light-900");
      await app.resize(WIDE);
      await app.reads("error", /no host called nobody\.invalid.*Check HostName/);

      const { hubs } = await app.evaluate(() => window.__TAURI_INTERNALS__.invoke("app_state"));
      assert.deepEqual(hubs, []);
    });
  } finally {
    await hub.stop();
    await places.remove();
  }
});

test("a certificate that nobody vouches for is refused before a token is sent", async () => {
  const places = await scratch();
  const hub = await serveHub(places.data);
  try {
    await withApp("untrusted", {}, async (app) => {
      await app.type("connection-string", hub.serviceConnectionString);
      await app.click("save-hub");
      await app.see("error", { "data-code": "UntrustedTls" });
      await app.reads("error", /certificate of localhost.*is not trusted/);
      await app.shots("53-untrusted", ["light"]);
    });
  } finally {
    await hub.stop();
    await places.remove();
  }
});

test("a device id with forbidden characters cannot be created", async () => {
  await withApp("device-id", {}, async (app) => {
    await app.startLocalHub();
    await app.click("create-device");
    await app.type("create-device-id", "no spaces");
    assert.ok(!(await (await app.browser.$(app.selector("create-device-submit"))).isEnabled()));
    await app.shots("54-device-id", ["light", "dark"]);
  });
});

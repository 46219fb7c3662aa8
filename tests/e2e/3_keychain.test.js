import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { run, scratch, until, withApp } from "./app.js";
import { keyOf, serveHub } from "./hub.js";
import { absentFrom, absentFromFiles, absentFromWebView, watchMessages } from "./secrets.js";

/** The Secret Service's entries of the application, without their secrets. */
const entries = () => run("secret-tool", ["search", "--all", "service", "Twindeck"]).catch(() => "");

test("a saved hub is there after a restart, and its key is in no file, no log and no message to the window", async () => {
  const hubPlaces = await scratch();
  const hub = await serveHub(hubPlaces.data);
  const text = hub.serviceConnectionString;
  const key = keyOf(text);
  try {
    await withApp("keychain", { env: { SSL_CERT_FILE: hub.caFile, SSL_CERT_DIR: null, RUST_LOG: "trace" } }, async (app, places) => {
      await watchMessages(app);
      assert.ok(!(await (await app.browser.$(app.selector("keychain-warning"))).isExisting()), "the keychain is there");

      await app.type("connection-string", text.replace(/SharedAccessKey=.*/, "SharedAccessKey=short"));
      await app.see("connection-check", { "data-problem": "SharedAccessKey" });
      await app.shots("30-malformed-string", ["light", "dark"]);
      await app.type("connection-string", text.replace("HostName=", "Host="));
      await app.see("connection-check", { "data-problem": "HostName" });
      await app.type("connection-string", text);
      await app.reads("connection-check", "Policy iothubowner");
      await app.shots("31-good-string");
      await app.type("hub-alias", "Bench");
      await app.click("save-hub");
      await app.see("connected-count", { "data-total": 0 });
      await app.reads("hub-switcher", "Bench");

      await absentFromWebView(app, [key], hub.hostName);
      await app.restart();
      await watchMessages(app);
      await app.go("/welcome");
      await app.reads("saved-hub", "Key in the keychain");
      await app.shots("32-saved-hub");
      await app.click("open-hub");
      await app.reads("hub-switcher", "Bench");
      await app.see("connected-count", { "data-total": 0 });
      await app.see("add-simulated");
      const messages = await absentFromWebView(app, [key], hub.hostName);
      assert.match(await entries(), /Twindeck/);

      assert.ok((await app.log()).includes(String(hub.httpsPort)), "the log tells of the hub");
      assert.ok((await readFile(join(places.data, "twindeck.db"))).includes("Bench") || (await readFile(join(places.data, "twindeck.db-wal"))).includes("Bench"), "the files tell of the hub");
      absentFrom("the log", await app.log(), [key]);
      const files = (await absentFromFiles(places.data, [key])) + (await absentFromFiles(places.home, [key])) + (await absentFromFiles(process.env.HOME, [key]));
      console.log(`      ${messages} messages and ${files} files hold no key`);

      await app.go("/welcome");
      await app.click("forget-hub");
      await app.click("forget-hub-confirm");
      await app.gone("saved-hub");
      await until("the keychain has no entry", async () => !(await entries()).includes("Twindeck"));
      await app.restart();
      await app.gone("saved-hub");
    });
  } finally {
    await hub.stop();
    await hubPlaces.remove();
  }
});

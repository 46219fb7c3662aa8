import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { connect } from "node:tls";
import { ENTER, until, withApp } from "./app.js";
import { control, keyOf, localService } from "./hub.js";

const text = (value) => Buffer.concat([Buffer.from([0, Buffer.byteLength(value)]), Buffer.from(value)]);

/** An MQTT CONNECT with a password that is no token; gives the code it is refused with. */
async function knock(port, ca, clientId) {
  const user = `localhost/${clientId}/?api-version=2021-04-12`;
  const body = Buffer.concat([text("MQTT"), Buffer.from([4, 0xc0, 0, 60]), text(clientId), text(user), text("no token")]);
  const socket = connect({ host: "localhost", port, ca: await readFile(ca) });
  socket.write(Buffer.concat([Buffer.from([0x10, body.length]), body]));
  for await (const answer of socket) return answer[3];
  return null;
}

test("the local hub's page counts what happens, explains a device's packets and names who was refused", async () => {
  await withApp("local-hub", {}, async (app, places) => {
    await app.go("/local-hub");
    await app.see("start-local-hub");
    await app.shots("40-local-hub-off");
    await app.click("start-local-hub");
    await app.see("stop-local-hub", {}, 30_000);
    await app.go("/devices");
    await app.addSimulated({ count: 3 });
    await app.connected(3);
    const hub = await localService(app, places);

    await app.go("/local-hub");
    await app.reads("counters", /Connections3/);
    await app.type("connection-string-device", "sim-02");
    await app.press(ENTER);
    await app.click("copy-device-connection-string");
    await app.go("/welcome");
    const device = await app.paste("connection-string");
    assert.match(device, /^HostName=localhost;DeviceId=sim-02;SharedAccessKey=/);

    await app.go("/local-hub");
    await app.type("protocol-device", "sim-01");
    await app.press(ENTER);
    await app.reads("protocol-count", /\d/);
    const answer = await control(hub, "invoke", "sim-01", "rebootDevice");
    assert.equal(answer.status, 200);
    await control(hub, "twin", "update", "sim-01", '{"properties":{"desired":{"building":43}}}');
    await app.reads("protocol-lines", "rebootDevice");
    await app.reads("protocol-lines", /desired/);
    const explained = await app.text("protocol-lines");
    assert.ok(!explained.includes(keyOf(device)) && !explained.includes("SharedAccess"), "a log shows no secret");

    await app.click("protocol-pause");
    await control(hub, "invoke", "sim-01", "rebootDevice");
    await app.reads("protocol-count", /Paused, [1-9]/);
    await app.click("protocol-pause");
    await until("it goes on", async () => !(await app.text("protocol-count")).includes("Paused"));

    const { localHub } = await app.evaluate(() => window.__TAURI_INTERNALS__.invoke("app_state"));
    assert.equal(await knock(localHub.mqttPort, hub.caFile, "thief"), 5);
    await app.reads("refusals", "thief");
    await app.shots("41-local-hub-running");
    await app.evaluate(() => document.querySelector("[data-testid=protocol-lines]").scrollIntoView());
    await app.shots("42-local-hub-protocol");

    await app.click("stop-local-hub");
    await app.see("start-local-hub");
    await app.gone("counters");
  });
});

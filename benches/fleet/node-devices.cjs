// As many devices on Microsoft's Node device SDK as there are connection strings on stdin, with the same behaviour
// as `twindeckctl simulate --model firmware-a --speed fast`.
'use strict';

const { createHash } = require('node:crypto');
const { createRequire } = require('node:module');
const { join } = require('node:path');
const { setTimeout: pause } = require('node:timers/promises');

const installed = createRequire(join(__dirname, '../../tests/conformance/package.json'));
const { Client } = installed('azure-iot-device');
const { Mqtt } = installed('azure-iot-device-mqtt');

async function device(connectionString) {
  const client = Client.fromConnectionString(connectionString, Mqtt);
  client.on('error', (error) => process.stderr.write(`${error.message}\n`));
  await client.open();
  const twin = await client.getTwin();
  const report = (patch) =>
    new Promise((resolve, reject) => twin.properties.reported.update(patch, (error) => (error ? reject(error) : resolve())));
  const install = async (uri) => {
    await report({ firmwareStatus: 'standBy', logTime: new Date().toISOString() });
    await pause(20);
    await report({ firmwareStatus: 'downloading' });
    const body = Buffer.from(await (await fetch(uri)).arrayBuffer());
    const sha256 = createHash('sha256').update(body).digest('hex');
    await pause(40);
    await report({ downloadComplete: new Date().toISOString(), firmwarePackage: { uri, size: body.length, sha256 } });
    await report({ firmwareStatus: 'applying', startedApplyingImage: new Date().toISOString() });
    await pause(40);
    await report({ firmwareStatus: 'completed', lastFirmwareUpdate: new Date().toISOString() });
  };
  client.onDeviceMethod('noSuchMethod', (request, response) => response.send(404, { message: 'unknown' }, () => {}));
  client.onDeviceMethod('firmwareUpdate', (request, response) => {
    response.send(200, { Response: 'Firmware update started' }, () => {});
    install(request.payload.fwPackageUri).catch((error) => process.stderr.write(`${error.stack}\n`));
  });
  // Answered in order: with this the subscriptions above stand.
  await report({ ready: true });
}

async function main() {
  let input = '';
  for await (const part of process.stdin) input += part;
  const waiting = input.split('\n').filter(Boolean);
  const total = waiting.length;
  const worker = async () => {
    for (let next = waiting.pop(); next; next = waiting.pop()) await device(next);
  };
  await Promise.all(Array.from({ length: 64 }, worker));
  process.stdout.write(`${JSON.stringify({ ready: true, connected: total })}\n`);
}

main().catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});

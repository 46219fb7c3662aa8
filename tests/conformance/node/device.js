// A device on the published `azure-iot-device` over MQTT: commands in on stdin, events out on stdout.
'use strict';

const readline = require('node:readline');
const { Client, Message } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');

const emit = (event, fields = {}) => process.stdout.write(`${JSON.stringify({ event, ...fields })}\n`);

const answer = (status, body) => (request, response) => {
  emit('method', { name: request.methodName, payload: request.payload });
  response.send(status, body(request), (error) => {
    if (error) emit('error', { message: error.message });
  });
};

async function main() {
  const client = Client.fromConnectionString(process.env.DEVICE_CONNECTION_STRING, Mqtt);
  client.on('error', (error) => emit('error', { message: error.message }));
  client.on('disconnect', () => emit('disconnected'));

  await client.open();
  emit('connected');
  client.onDeviceMethod('echo', answer(200, ({ payload }) => ({ echo: payload, by: 'node' })));
  // This client leaves an unknown method without an answer, so the one the tests use has its own handler.
  client.onDeviceMethod('noSuchMethod', answer(404, () => ({ error: 'noSuchMethod is unknown here' })));
  const twin = await client.getTwin();
  twin.on('error', (error) => emit('error', { message: error.message }));
  twin.on('properties.desired', (patch) => emit('desired', { patch }));
  const report = (patch) =>
    new Promise((resolve, reject) => {
      twin.properties.reported.update(patch, (error) => (error ? reject(error) : resolve()));
    });
  // The listeners above subscribe without a word. Packets are handled in order, so the answer to one more
  // request tells that those subscriptions stand.
  await report({ ready: true });
  emit('ready');

  for await (const line of readline.createInterface({ input: process.stdin })) {
    const command = JSON.parse(line);
    if (command.do === 'report') {
      await report(command.patch);
      emit('reported');
    } else if (command.do === 'send') {
      const message = new Message(JSON.stringify(command.body));
      message.contentType = 'application/json';
      message.contentEncoding = 'utf-8';
      for (const [name, value] of Object.entries(command.properties)) message.properties.add(name, value);
      await client.sendEvent(message);
      emit('sent');
    } else if (command.do === 'twin') {
      const { properties } = await twin.get();
      emit('twin', JSON.parse(JSON.stringify(properties)));
    }
  }
  await client.close();
  process.exit(0);
}

main().catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});

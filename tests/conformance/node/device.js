// A device or module on the published `azure-iot-device` over MQTT: commands in on stdin, events out on stdout.
'use strict';

const { readFileSync } = require('node:fs');
const readline = require('node:readline');
const debug = require('debug');
const { Client, Message, ModuleClient, SharedAccessKeyAuthenticationProvider } = require('azure-iot-device');
const { Mqtt, MqttWs } = require('azure-iot-device-mqtt');

const environment = process.env;
const emit = (event, fields = {}) => process.stdout.write(`${JSON.stringify({ event, ...fields })}\n`);
const emitError = (error) => emit('error', { message: error.message });

// The client offers no hook for a renewed connection; its log does.
debug.enable('azure-iot-mqtt-base:MqttBase');
debug.log = (text) => {
  if (text.includes('mqtt client reconnected successfully')) emit('renewed');
};

const answer = (status, body) => (request, response) => {
  emit('method', { name: request.methodName, payload: request.payload });
  response.send(status, body(request), (error) => error && emitError(error));
};

function create() {
  const connectionString = environment.DEVICE_CONNECTION_STRING;
  const ClientClass = connectionString.includes(';ModuleId=') ? ModuleClient : Client;
  const transport = environment.DEVICE_TRANSPORT === 'websocket' ? MqttWs : Mqtt;
  if (!environment.DEVICE_TOKEN_SECONDS) return ClientClass.fromConnectionString(connectionString, transport);
  const seconds = Number(environment.DEVICE_TOKEN_SECONDS);
  const provider = SharedAccessKeyAuthenticationProvider.fromConnectionString(connectionString, seconds, seconds - 5);
  return ClientClass.fromAuthenticationProvider(provider, transport);
}

async function main() {
  const client = create();
  client.on('error', emitError);
  client.on('connect', () => emit('connected'));
  client.on('disconnect', () => emit('disconnected'));
  if (environment.DEVICE_CERTIFICATE_FILE) {
    await client.setOptions({
      cert: readFileSync(environment.DEVICE_CERTIFICATE_FILE, 'utf8'),
      key: readFileSync(environment.DEVICE_CERTIFICATE_KEY_FILE, 'utf8'),
    });
  }
  if (environment.DEVICE_MODEL_ID) await client.setOptions({ modelId: environment.DEVICE_MODEL_ID });

  await client.open();
  const onMethod = (client.onDeviceMethod ?? client.onMethod).bind(client);
  const echo = answer(200, ({ payload }) => ({ echo: payload, by: 'node' }));
  // This client leaves an unknown method without an answer, so those that the tests use have handlers.
  for (const name of ['echo', 'reboot', 'probe*reset']) onMethod(name, echo);
  onMethod('noSuchMethod', answer(404, () => ({ error: 'noSuchMethod is unknown here' })));
  const twin = await client.getTwin();
  twin.on('error', emitError);
  twin.on('properties.desired', (patch) => emit('desired', { patch }));
  if (client instanceof Client) {
    client.on('message', (message) => {
      const properties = Object.fromEntries(message.properties.propertyList.map(({ key, value }) => [key, value]));
      emit('message', { id: message.messageId, body: message.data.toString(), properties });
      client.complete(message, (error) => error && emitError(error));
    });
  }
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

// A device on the published `azure-iot-device` over HTTPS: telemetry, and messages it settles when it is told.
'use strict';

const { readFileSync } = require('node:fs');
const readline = require('node:readline');
const { Client, Message } = require('azure-iot-device');
const { Http } = require('azure-iot-device-http');

const environment = process.env;
const emit = (event, fields = {}) => process.stdout.write(`${JSON.stringify({ event, ...fields })}\n`);

const telemetry = ({ body, properties }) => {
  const message = new Message(JSON.stringify(body));
  message.contentType = 'application/json';
  message.contentEncoding = 'utf-8';
  for (const [name, value] of Object.entries(properties)) message.properties.add(name, value);
  return message;
};

async function main() {
  const client = Client.fromConnectionString(environment.DEVICE_CONNECTION_STRING, Http);
  client.on('error', (error) => emit('error', { message: error.message }));
  const certificate = environment.DEVICE_CERTIFICATE_FILE && {
    cert: readFileSync(environment.DEVICE_CERTIFICATE_FILE, 'utf8'),
    key: readFileSync(environment.DEVICE_CERTIFICATE_KEY_FILE, 'utf8'),
  };
  // Once a second is the fastest this client asks for messages. It never says that a certificate was
  // taken unless a policy comes with it.
  await client.setOptions({ ...certificate, http: { receivePolicy: { interval: 1 } } });
  await client.open();
  const received = new Map();
  client.on('message', (message) => {
    received.set(message.messageId, message);
    const properties = Object.fromEntries(message.properties.propertyList.map(({ key, value }) => [key, value]));
    emit('message', { id: message.messageId, body: message.data.toString(), properties });
  });
  emit('ready');

  for await (const line of readline.createInterface({ input: process.stdin })) {
    const command = JSON.parse(line);
    if (command.do === 'send') {
      await client.sendEvent(telemetry(command));
      emit('sent');
    } else if (command.do === 'sendBatch') {
      await client.sendEventBatch(command.messages.map(telemetry));
      emit('sent');
    } else if (command.do === 'settle') {
      try {
        await client[command.how](received.get(command.id));
        emit('settled', { id: command.id });
      } catch (error) {
        emit('unsettled', { id: command.id, status: error.response?.statusCode });
      }
    }
  }
  await client.close();
  process.exit(0);
}

main().catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});

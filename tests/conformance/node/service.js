// The published `azure-iothub` service client: one JSON command a line in, one answer a line out.
'use strict';

const readline = require('node:readline');
const { Client, Registry } = require('azure-iothub');

const connectionString = process.env.IOTHUB_CONNECTION_STRING;
const registry = Registry.fromConnectionString(connectionString);
const client = Client.fromConnectionString(connectionString);

const identity = (device) => ({
  deviceId: device.deviceId,
  etag: device.etag,
  status: device.status,
  primaryKey: device.authentication.symmetricKey.primaryKey,
});

const withoutMetadata = (section) =>
  Object.fromEntries(Object.entries(section).filter(([name]) => !name.startsWith('$')));

const twinSummary = ({ etag, tags, connectionState, properties: { desired, reported } }) => ({
  etag,
  tags: tags ?? {},
  connectionState,
  desired: withoutMetadata(desired),
  desiredVersion: desired.$version,
  reported: withoutMetadata(reported),
});

const commands = {
  async create({ deviceId }) {
    return identity((await registry.create({ deviceId, status: 'enabled' })).responseBody);
  },
  async get({ deviceId }) {
    return identity((await registry.get(deviceId)).responseBody);
  },
  async list() {
    return (await registry.list()).responseBody.map(({ deviceId, status }) => ({ deviceId, status }));
  },
  async update({ deviceId, status, etag }) {
    const { authentication } = (await registry.get(deviceId)).responseBody;
    // `registry.update` sends no etag; the bulk form with `forceUpdate` false does.
    const { responseBody } = await registry.updateDevices([{ deviceId, status, etag, authentication }], false);
    if (!responseBody.isSuccessful) {
      throw Object.assign(new Error('bulk update failed'), { responseBody: JSON.stringify(responseBody) });
    }
    return commands.get({ deviceId });
  },
  async delete({ deviceId }) {
    await registry.delete(deviceId);
    return null;
  },
  async twin({ deviceId }) {
    return twinSummary((await registry.getTwin(deviceId)).responseBody);
  },
  async updateTwin({ deviceId, tags, desired, etag = '*' }) {
    const patch = { ...(tags && { tags }), ...(desired && { properties: { desired } }) };
    return twinSummary((await registry.updateTwin(deviceId, patch, etag)).responseBody);
  },
  async query({ sql, pageSize }) {
    const query = registry.createQuery(sql, pageSize);
    const pages = [];
    while (query.hasMoreResults) {
      const { result } = await query.nextAsTwin();
      pages.push(result.map(({ deviceId }) => deviceId));
    }
    return pages;
  },
  async invoke({ deviceId, method, payload, connectTimeout = 0 }) {
    const { result } = await client.invokeDeviceMethod(deviceId, {
      methodName: method,
      payload,
      responseTimeoutInSeconds: 30,
      connectTimeoutInSeconds: connectTimeout,
    });
    return { status: result.status, payload: result.payload };
  },
};

const explain = (error) => ({
  status: error.response?.statusCode,
  header: error.response?.headers?.['iothub-errorcode'],
  body: error.responseBody,
  message: `${error.name}: ${error.message}`,
});

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { id, do: command, ...fields } = JSON.parse(line);
    let answer;
    try {
      answer = { result: await commands[command](fields) };
    } catch (error) {
      answer = { error: explain(error) };
    }
    process.stdout.write(`${JSON.stringify({ event: 'answer', id, ...answer })}\n`);
  }
  process.exit(0);
}

main();

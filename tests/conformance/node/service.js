// The published `azure-iothub` service client: one JSON command a line in, one answer a line out.
'use strict';

const readline = require('node:readline');
const { Client, DigitalTwinClient, IoTHubTokenCredentials, JobClient, Registry } = require('azure-iothub');

const connectionString = process.env.IOTHUB_CONNECTION_STRING;
const registry = Registry.fromConnectionString(connectionString);
const client = Client.fromConnectionString(connectionString);
const jobs = JobClient.fromConnectionString(connectionString);
const digitalTwins = new DigitalTwinClient(new IoTHubTokenCredentials(connectionString));

const identity = ({ deviceId, moduleId, managedBy, etag, status, connectionState, authentication }) => ({
  deviceId,
  etag,
  authentication: authentication.type,
  connectionState,
  ...(moduleId ? { moduleId, managedBy } : { status }),
  ...(authentication.type === 'sas' && { primaryKey: authentication.symmetricKey.primaryKey }),
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

const configurationSummary = ({ id, etag, priority, targetCondition, labels, content, systemMetrics }) => ({
  id,
  etag,
  priority,
  targetCondition,
  labels,
  content: Object.fromEntries(Object.entries(content).filter(([, value]) => value)),
  systemMetrics: systemMetrics.results,
});

const jobSummary = ({ jobId, type, status, deviceJobStatistics }) => ({
  jobId,
  type,
  status,
  succeeded: deviceJobStatistics?.succeededCount,
  failed: deviceJobStatistics?.failedCount,
});

const bodyOf = async (promise) => (await promise).responseBody;

async function allOf(query) {
  const found = [];
  // Without a callback `next` forgets where it was, unless it is told.
  while (query.hasMoreResults) found.push(...(await query.next(query.continuationToken)).result);
  return found;
}

const commands = {
  async create({ deviceId, moduleId, credential = 'sas', thumbprint }) {
    const authentication = {
      type: credential,
      ...(thumbprint && { x509Thumbprint: { primaryThumbprint: thumbprint, secondaryThumbprint: thumbprint } }),
    };
    return moduleId
      ? identity(await bodyOf(registry.addModule({ deviceId, moduleId, authentication })))
      : identity(await bodyOf(registry.create({ deviceId, status: 'enabled', authentication })));
  },
  async get({ deviceId, moduleId }) {
    return identity(await bodyOf(moduleId ? registry.getModule(deviceId, moduleId) : registry.get(deviceId)));
  },
  async list() {
    return (await bodyOf(registry.list())).map(({ deviceId, status }) => ({ deviceId, status }));
  },
  async listModules({ deviceId }) {
    return (await bodyOf(registry.getModulesOnDevice(deviceId))).map(({ moduleId }) => moduleId);
  },
  async update({ deviceId, status, etag }) {
    const { authentication } = await bodyOf(registry.get(deviceId));
    // `registry.update` sends no etag; the bulk form with `forceUpdate` false does.
    const done = await bodyOf(registry.updateDevices([{ deviceId, status, etag, authentication }], false));
    if (!done.isSuccessful) {
      throw Object.assign(new Error('bulk update failed'), { responseBody: JSON.stringify(done) });
    }
    return commands.get({ deviceId });
  },
  async updateModule({ deviceId, moduleId, managedBy }) {
    const module = await bodyOf(registry.getModule(deviceId, moduleId));
    return identity(await bodyOf(registry.updateModule({ ...module, managedBy })));
  },
  async delete({ deviceId, moduleId }) {
    await (moduleId ? registry.removeModule(deviceId, moduleId) : registry.delete(deviceId));
    return null;
  },
  async bulk({ mode, deviceIds, status }) {
    const devices = deviceIds.map((deviceId) => ({ deviceId, ...(status && { status }) }));
    const send = {
      create: () => registry.addDevices(devices),
      update: () => registry.updateDevices(devices, true),
      delete: () => registry.removeDevices(devices, true),
    }[mode];
    return (await bodyOf(send())).isSuccessful;
  },
  async statistics() {
    return bodyOf(registry.getRegistryStatistics());
  },
  async twin({ deviceId, moduleId }) {
    return twinSummary(
      await bodyOf(moduleId ? registry.getModuleTwin(deviceId, moduleId) : registry.getTwin(deviceId)),
    );
  },
  async updateTwin({ deviceId, moduleId, tags, desired, etag = '*' }) {
    const patch = { ...(tags && { tags }), ...(desired && { properties: { desired } }) };
    return twinSummary(
      await bodyOf(
        moduleId
          ? registry.updateModuleTwin(deviceId, moduleId, patch, etag)
          : registry.updateTwin(deviceId, patch, etag),
      ),
    );
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
  async rows({ sql }) {
    return allOf(registry.createQuery(sql, 100));
  },
  async invoke({ deviceId, moduleId, method, payload, connectTimeout = 0 }) {
    const request = {
      methodName: method,
      payload,
      responseTimeoutInSeconds: 30,
      connectTimeoutInSeconds: connectTimeout,
    };
    const { result } = await (moduleId
      ? client.invokeDeviceMethod(deviceId, moduleId, request)
      : client.invokeDeviceMethod(deviceId, request));
    return { status: result.status, payload: result.payload };
  },
  async createConfiguration({ configurationId, content, targetCondition, priority, labels }) {
    return configurationSummary(
      await bodyOf(
        registry.addConfiguration({
          id: configurationId,
          schemaVersion: '1.0',
          content,
          targetCondition,
          priority,
          labels,
        }),
      ),
    );
  },
  async getConfiguration({ configurationId }) {
    return configurationSummary(await bodyOf(registry.getConfiguration(configurationId)));
  },
  async listConfigurations() {
    return (await bodyOf(registry.getConfigurations())).map(({ id }) => id);
  },
  async updateConfiguration({ configurationId, targetCondition }) {
    const configuration = await bodyOf(registry.getConfiguration(configurationId));
    return configurationSummary(await bodyOf(registry.updateConfiguration({ ...configuration, targetCondition })));
  },
  async deleteConfiguration({ configurationId }) {
    await registry.removeConfiguration(configurationId);
    return null;
  },
  async digitalTwin({ deviceId }) {
    const { _response, ...twin } = await digitalTwins.getDigitalTwin(deviceId);
    return twin;
  },
  async updateDigitalTwin({ deviceId, patch }) {
    await digitalTwins.updateDigitalTwin(deviceId, patch);
    return null;
  },
  async command({ deviceId, name, payload, component }) {
    const { body } = await (component
      ? digitalTwins.invokeComponentCommand(deviceId, component, name, payload)
      : digitalTwins.invokeCommand(deviceId, name, payload));
    return body;
  },
  async schedule({ jobId, condition, method, payload, desired, startTime }) {
    const start = startTime ? new Date(startTime) : new Date();
    const { jobStatus } = await (method
      ? jobs.scheduleDeviceMethod(
          jobId,
          condition,
          { methodName: method, payload, responseTimeoutInSeconds: 30 },
          start,
          60,
        )
      : jobs.scheduleTwinUpdate(jobId, condition, { etag: '*', properties: { desired } }, start, 60));
    return jobSummary(jobStatus);
  },
  async job({ jobId }) {
    return jobSummary((await jobs.getJob(jobId)).jobStatus);
  },
  async cancelJob({ jobId }) {
    return jobSummary((await jobs.cancelJob(jobId)).jobStatus);
  },
  async listJobs({ type, status }) {
    return (await allOf(jobs.createQuery(type, status, 2))).map(jobSummary);
  },
};

const explain = (error) => ({
  status: error.response?.statusCode ?? error.statusCode,
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

// One round: a hub of its own, against which fleets take turns.

import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Program } from './program.mjs';
import { Service } from './service.mjs';

const here = dirname(fileURLToPath(import.meta.url));
/** Changes and methods a fleet gets at least; a small one in several passes, so that all are measured equally long. */
const CALLS = 10_000;
/** How long a fleet may take to acknowledge or to leave. */
const PATIENCE = 10 * 60_000;

const ids = (name, count) => Array.from({ length: count }, (_, index) => `${name}-${String(index + 1).padStart(4, '0')}`);
const pick = ({ resident, threads }) => ({ resident, threads });

async function until(what, condition, every) {
  const from = performance.now();
  while (!(await condition())) {
    if (performance.now() - from > PATIENCE) throw new Error(`waited in vain for ${what}`);
    await pause(every);
  }
}

/** A hub of its own for one round, and everything that is needed to run fleets against it. */
export class Round {
  /** @param {{ ctl: string, folder: string, mqttPort: number, idle: number, update: boolean }} setting */
  static async open(setting) {
    mkdirSync(setting.folder);
    const ports = ['--mqtt-port', String(setting.mqttPort), '--https-port', '0'];
    const hub = new Program(setting.ctl, ['hub', 'serve', '--data-dir', join(setting.folder, 'hub'), ...ports]);
    const round = new Round(setting, hub, await hub.ready);
    await round.service.warm();
    return round;
  }

  constructor(setting, hub, said) {
    Object.assign(this, setting);
    this.hub = hub;
    this.said = said;
    this.service = new Service(said);
    this.keys = {};
    this.global = ['--ca-file', said.caFile, '--json'];
    this.environment = { IOTHUB_CONNECTION_STRING: said.serviceConnectionString };
  }

  /** The first `count` devices of ours. */
  ours(count) {
    const fleet = ['--count', String(count), '--model', join(here, 'model.toml'), '--prefix', 'twindeck'];
    const network = ['--mqtt-port', String(this.said.mqttPort), '--connects-per-second', '10000'];
    return new Program(this.ctl, [...this.global, 'simulate', ...fleet, ...network], { env: this.environment });
  }

  /** The first `count` devices of a peer's program, which reads connection strings. */
  peer(command, script, host, name, count) {
    const string = (id, index) => `HostName=${host};DeviceId=${id};SharedAccessKey=${this.keys[name][index]}`;
    const input = ids(name, count).map(string).join('\n');
    const env = { NODE_EXTRA_CA_CERTS: this.said.caFile, SSL_CERT_FILE: this.said.caFile };
    return new Program(command, [join(here, script)], { env, input });
  }

  async firstConnection(program) {
    while (!program.ended && !(await this.service.connected())) await pause(2);
  }

  nobodyConnected() {
    return until('the last device to leave', async () => (await this.service.connected()) === 0, 100);
  }

  look(program) {
    return { at: performance.now(), fleet: program.usage(), hub: this.hub.usage() };
  }

  since(before, program) {
    const now = this.look(program);
    return { seconds: (now.at - before.at) / 1000, fleet: now.fleet.cpu - before.fleet.cpu, hub: now.hub.cpu - before.hub.cpu };
  }

  async measure({ name, count, peer, start }) {
    if (peer) this.keys[name] = await this.service.register(ids(name, count));
    const small = start(this, 1);
    await small.ready;
    await pause(3000);
    const alone = small.usage();
    await small.stop();
    await this.nobodyConnected();

    const hubBefore = this.hub.usage().resident;
    const program = start(this, count);
    await Promise.race([this.firstConnection(program), program.ready]);
    let before = this.look(program);
    await program.ready;
    const connect = this.since(before, program);
    const connected = await this.service.connected();
    if (connected !== count) throw new Error(`${connected} of ${count} devices are connected`);

    before = this.look(program);
    await pause(this.idle * 1000);
    const quiet = { ...this.since(before, program), ...pick(program.usage()) };
    const hubMemory = (this.hub.usage().resident - hubBefore) / count;

    // Once untimed, so that programs that compile as they go have done so; memory is read after it.
    await this.desire(name, count, 0);
    await this.acknowledged(name, count, 0);
    await this.ping(name, count);
    const after = pick(program.usage());

    const passes = Math.ceil(CALLS / count);
    const calls = count * passes;
    before = this.look(program);
    for (let level = 1; level <= passes; level++) await this.desire(name, count, level);
    await this.acknowledged(name, count, passes);
    const twins = { calls, ...this.since(before, program) };

    before = this.look(program);
    for (let pass = 0; pass < passes; pass++) await this.ping(name, count);
    const methods = { calls, ...this.since(before, program) };
    const update = this.update ? { seconds: this.updateAll(name), ...pick(program.usage()) } : undefined;
    await program.stop();
    await this.nobodyConnected();
    return { count, alone: pick(alone), connect, idle: quiet, hubMemory, twins, methods, after, update };
  }

  desire(name, count, level) {
    const patch = { properties: { desired: { level } } };
    return this.service.each(ids(name, count), (id) => this.service.call('PATCH', `/twins/${id}`, patch));
  }

  acknowledged(name, count, level) {
    const condition = `startswith(deviceId, '${name}-') AND properties.reported.level.value = ${level}`;
    return until('acknowledgements', async () => (await this.service.count(condition)) === count, 20);
  }

  ping(name, count) {
    const request = { methodName: 'ping', payload: null, responseTimeoutInSeconds: 60 };
    return this.service.each(ids(name, count), async (id) => {
      const answer = await this.service.call('POST', `/twins/${id}/methods`, request);
      if (answer.status !== 200) throw new Error(`${id} answered ${answer.status}`);
    });
  }

  updateAll(name) {
    const file = join(this.folder, 'firmware.bin');
    writeFileSync(file, randomBytes(256 * 1024));
    const query = `SELECT * FROM devices WHERE startswith(deviceId, '${name}-')`;
    const from = performance.now();
    const done = spawnSync(this.ctl, [...this.global, 'firmware', 'update', '--package', file, '--query', query], {
      env: { ...process.env, ...this.environment },
      encoding: 'utf8',
    });
    if (done.status !== 0) throw new Error(`the update of ${name} failed: ${done.stdout}${done.stderr}`);
    return (performance.now() - from) / 1000;
  }

  async close() {
    this.service.close();
    await this.hub.stop();
  }
}

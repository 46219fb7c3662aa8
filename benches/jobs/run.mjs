// Jobs over ten thousand devices, a hundred of them faulty: hub, devices and the runner of the jobs are three
// processes of one machine. A wrong count ends the run. With `--s1` the hub keeps the limits of one S1 unit, for
// a thousand devices, and what a job took stands beside what was estimated.
//
//   cargo build --release -p twindeckctl && node benches/jobs/run.mjs --machine "2 cores of …" [--s1]

import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Program } from '../fleet/program.mjs';
import { Service } from '../fleet/service.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const ctl = process.env.TWINDECKCTL ?? join(here, '../../target/release/twindeckctl');
const { values: options } = parseArgs({ options: { machine: { type: 'string', default: '' }, s1: { type: 'boolean', default: false } } });
const [GOOD, BAD] = options.s1 ? [990, 10] : [9900, 100];
const ALL = GOOD + BAD;

/** Runs a command to its end; its last line of JSON, its seconds, and processor time as last seen. */
function run(args, env) {
  return new Promise((resolve, reject) => {
    const from = performance.now();
    const child = spawn(ctl, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'ignore'] });
    let text = '';
    let cpu = 0;
    const look = setInterval(() => {
      try {
        const stat = readFileSync(`/proc/${child.pid}/stat`, 'utf8');
        const [user, kernel] = stat.slice(stat.lastIndexOf(')') + 2).split(' ').slice(11, 13).map(Number);
        cpu = (user + kernel) / 100;
      } catch {
        // It ended between two looks.
      }
    }, 50);
    child.stdout.on('data', (part) => (text += part));
    child.once('error', reject);
    child.once('close', () => {
      clearInterval(look);
      const lines = text.trim().split('\n');
      resolve({ said: JSON.parse(lines.at(-1)), seconds: (performance.now() - from) / 1000, cpu });
    });
  });
}

const folder = mkdtempSync(join(tmpdir(), 'twindeck-jobs-'));
try {
  const ports = ['--mqtt-port', '0', '--https-port', '0'];
  const fleetFile = join(folder, 'fleet.toml');
  const perSecond = options.s1 ? 90 : 1500;
  const text = readFileSync(join(here, 'fleet.toml'), 'utf8').replace('count = 9900', `count = ${GOOD}`).replace('count = 100\n', `count = ${BAD}\n`);
  writeFileSync(fleetFile, text.replace('perSecond = 1500', `perSecond = ${perSecond}`));
  const serve = (...more) => new Program(ctl, ['hub', 'serve', '--data-dir', join(folder, 'hub'), ...more]);
  let hub = serve(...ports);
  const said = await hub.ready;
  const global = ['--ca-file', said.caFile, '--json'];
  const env = { IOTHUB_CONNECTION_STRING: said.serviceConnectionString };
  const fleet = new Program(ctl, [...global, 'simulate', '--fleet', fleetFile, '--mqtt-port', String(said.mqttPort)], { env });
  await fleet.ready;
  if (options.s1) {
    // Reading a thousand keys would take ten minutes of such a hub's registry operations, so the limits come after.
    await hub.stop();
    hub = serve('--mqtt-port', String(said.mqttPort), '--https-port', String(said.httpsPort), '--s1-limits', '1');
    const service = new Service(await hub.ready);
    while ((await service.connected()) < ALL) await pause(3000);
    service.close();
  }

  const property = '{"properties":{"desired":{"building":43,"floor":3}}}';
  const method = ['invoke', 'configurationUpdate', '--payload', '{"name":"interval","value":5}'];
  const jobs = [
    // A hub has done its part when the device answered, whatever it answered.
    { title: 'method, by the hub', args: [...method, '--on-hub'], succeeded: ALL, failed: 0 },
    { title: 'desired properties, by the hub', args: ['twin', property, '--on-hub'], succeeded: ALL, failed: 0 },
    { title: 'method, here', args: method, succeeded: GOOD, failed: BAD },
    { title: 'desired properties, here', args: ['twin', property.replaceAll('43', '44')], succeeded: ALL, failed: 0 },
    { title: 'reboot, followed in the twins', args: ['reboot'], succeeded: GOOD, failed: BAD },
  ];
  const rows = [];
  for (const { title, args, succeeded, failed } of jobs) {
    const hubBefore = hub.usage().cpu;
    const data = ['--data-dir', join(folder, 'jobs'), ...(options.s1 ? ['--s1-limits'] : [])];
    const { said: job, seconds, cpu } = await run([...global, 'job', 'run', ...args, '--all', ...data], env);
    if (job.succeeded !== succeeded || job.failed !== failed || job.total !== ALL) {
      throw new Error(`${title}: ${JSON.stringify(job)}`);
    }
    const took = (Date.parse(job.endedAt) - Date.parse(job.startedAt ?? job.createdAt)) / 1000;
    const rate = Math.round(ALL / took).toLocaleString('en').replaceAll(',', ' ');
    rows.push(`| ${title} | ${took.toFixed(1)} s | ${rate} /s | ${succeeded} + ${failed} | ${cpu.toFixed(1)} s | ${(hub.usage().cpu - hubBefore).toFixed(1)} s | ${seconds.toFixed(1)} s |${options.s1 ? ` ${job.estimatedSeconds} s |` : ''}`);
    console.error(rows.at(-1));
  }
  const head = ['job', 'took', 'devices', 'succeeded + failed', 'processor time of the runner', 'of the hub', 'with reading all devices first', ...(options.s1 ? ['estimated'] : [])];
  console.log(`${options.machine}\n\n| ${head.join(' | ')} |\n|${' --- |'.repeat(head.length)}\n${rows.join('\n')}`);
} finally {
  await Program.stopAll();
  rmSync(folder, { recursive: true, force: true });
}

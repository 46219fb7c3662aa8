// A fleet of simulated devices beside Microsoft's Node and Python device SDKs, against the same local hub in the same
// run: all connect over TLS, all get a desired property and acknowledge it, all answer a direct method.
//
//   cargo build --release -p twindeckctl && scripts/setup --conformance && node benches/fleet/run.mjs --machine "2 cores of …"
//
// Hub, fleet and the caller in here are three processes of one machine. A fresh hub serves each round, in which the
// fleets take turns and their order changes. A device lost, an answer missing or a wrong status ends the run.
// `--update` adds a firmware update of 256 KiB; it is meant for some hundreds of devices.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Program } from './program.mjs';
import { Round } from './round.mjs';
import { table } from './table.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '../..');
const ctl = process.env.TWINDECKCTL ?? join(root, 'target/release/twindeckctl');
const python = process.env.PYTHON ?? join(root, 'target/conformance-venv/bin/python');

const { values: texts } = parseArgs({
  options: {
    devices: { type: 'string', default: '10000' },
    node: { type: 'string', default: '2000' },
    python: { type: 'string', default: '300' },
    rounds: { type: 'string', default: '3' },
    /** Seconds in which nothing happens; memory is read at their end. */
    idle: { type: 'string', default: '20' },
    update: { type: 'boolean', default: false },
    machine: { type: 'string', default: '' },
  },
});
const [devices, node, pythons, rounds, idle] = ['devices', 'node', 'python', 'rounds', 'idle'].map((name) => {
  const number = Number(texts[name]);
  if (Number.isInteger(number) && number >= (name === 'node' || name === 'python' ? 0 : 1)) return number;
  throw new Error(`--${name} is a whole number, not ${texts[name]}`);
});
/** The Python SDK knows this port alone. */
const PYTHON_PORT = 8883;

const fleets = [
  { name: 'twindeck', title: 'Twindeck', count: devices, start: (round, count) => round.ours(count) },
  {
    name: 'node',
    title: 'Node SDK',
    count: node,
    peer: true,
    start: (round, count) => round.peer(process.execPath, 'node-devices.cjs', `localhost:${round.said.mqttPort}`, 'node', count),
  },
  {
    name: 'python',
    title: 'Python SDK',
    count: pythons,
    peer: true,
    start: (round, count) => round.peer(python, 'python_devices.py', 'localhost', 'python', count),
  },
].filter(({ count }) => count > 0);

/** Children inherit this program's limit. */
function checkOpenFiles() {
  const limit = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
  const wanted = Math.max(...fleets.map(({ count }) => count)) + 200;
  if (Number(limit) < wanted) throw new Error(`${limit} files may be open here: \`ulimit -n ${wanted}\``);
}

function versions() {
  const installed = createRequire(join(root, 'tests/conformance/package.json'));
  const of = (name) => JSON.parse(readFileSync(join(dirname(installed.resolve(name)), 'package.json'), 'utf8')).version;
  const said = ['Twindeck ' + spawnSync(ctl, ['--version'], { encoding: 'utf8' }).stdout.trim().split(' ')[1]];
  if (node) {
    const sdk = ['azure-iot-device', 'azure-iot-device-mqtt'].map((name) => `\`${name}\` ${of(name)}`);
    said.push(`${sdk.join(' with ')} on Node ${process.version.slice(1)}`);
  }
  if (pythons) {
    const program = 'import platform, azure.iot.device.constant as c; print(c.VERSION, "on Python", platform.python_version())';
    const answer = spawnSync(python, ['-c', program], { encoding: 'utf8' });
    said.push(`\`azure-iot-device\` ${answer.stdout?.trim()}, its asynchronous client`);
  }
  return said.join(' · ');
}

async function main() {
  checkOpenFiles();
  const told = versions();
  const folder = mkdtempSync(join(tmpdir(), 'twindeck-bench-'));
  const results = [];
  try {
    for (let number = 0; number < rounds; number++) {
      const mqttPort = pythons ? PYTHON_PORT : 0;
      const round = await Round.open({ ctl, folder: join(folder, String(number)), mqttPort, idle, update: texts.update });
      const first = number % fleets.length;
      const result = {};
      for (const fleet of [...fleets.slice(first), ...fleets.slice(0, first)]) {
        result[fleet.name] = await round.measure(fleet);
        process.stderr.write(`round ${number + 1}, ${fleet.title}: ${JSON.stringify(result[fleet.name])}\n`);
      }
      results.push(result);
      await round.close();
    }
  } finally {
    await Program.stopAll();
    rmSync(folder, { recursive: true, force: true });
  }
  process.stdout.write(`${[texts.machine, told].filter(Boolean).join(' · ')}\n\n${table(fleets, results)}\n`);
}

await main();

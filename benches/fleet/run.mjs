// A fleet of simulated devices beside as many on Microsoft's Node device SDK, against the same local hub in the
// same run: time until all are connected, methods a second, time of a firmware update, memory.
//
//   cargo build --release -p twindeckctl && scripts/setup --conformance && node benches/fleet/run.mjs [count]

import { spawn, spawnSync } from 'node:child_process';
import { createHmac, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import { cpus, tmpdir, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const count = Number(process.argv[2] ?? 500);
const here = dirname(fileURLToPath(import.meta.url));
const ctl = process.env.TWINDECKCTL ?? join(here, '../../target/release/twindeckctl');
const folder = mkdtempSync(join(tmpdir(), 'twindeck-bench-'));
const children = [];

const seconds = (from) => (performance.now() - from) / 1000;
const resident = (child) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))[1]);

/** Starts a program and resolves with its first line of JSON that says it is ready. */
function start(command, args, env, input) {
  const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ['pipe', 'pipe', 'inherit'] });
  children.push(child);
  child.stdin.end(input ?? '');
  return new Promise((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`${command} ended with ${code}`)));
    createInterface({ input: child.stdout }).on('line', (line) => {
      const said = JSON.parse(line);
      if (said.ready) resolve({ child, said });
    });
  });
}

async function main() {
  const hub = await start(ctl, ['hub', 'serve', '--data-dir', join(folder, 'hub'), '--mqtt-port', '0', '--https-port', '0']);
  const { mqttPort, httpsPort, caFile, serviceConnectionString } = hub.said;
  const key = Buffer.from(/SharedAccessKey=(.*)$/.exec(serviceConnectionString)[1], 'base64');
  const env = { IOTHUB_CONNECTION_STRING: serviceConnectionString };
  const global = ['--ca-file', caFile, '--json'];

  const agent = new https.Agent({ keepAlive: true, maxSockets: 64, ca: readFileSync(caFile) });
  const expiry = Math.floor(Date.now() / 1000) + 3600;
  const signature = encodeURIComponent(createHmac('sha256', key).update(`localhost\n${expiry}`).digest('base64'));
  const authorization = `SharedAccessSignature sr=localhost&sig=${signature}&se=${expiry}&skn=iothubowner`;
  const call = (method, path, body) =>
    new Promise((resolve, reject) => {
      const options = { agent, method, host: 'localhost', port: httpsPort, path: `${path}?api-version=2021-04-12`, headers: { authorization } };
      const request = https.request(options, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part) => (text += part));
        response.on('end', () => (response.statusCode < 300 ? resolve(text && JSON.parse(text)) : reject(new Error(text))));
      });
      request.on('error', reject).end(body && JSON.stringify(body));
    });

  const ids = (prefix) => Array.from({ length: count }, (_, i) => `${prefix}-${String(i + 1).padStart(4, '0')}`);
  const secrets = new Map();
  for (const prefix of ['ours', 'node']) {
    for (let at = 0; at < count; at += 100) {
      const part = ids(prefix).slice(at, at + 100).map((id) => {
        const secret = randomBytes(32).toString('base64');
        secrets.set(id, secret);
        return { id, importMode: 'create', authentication: { type: 'sas', symmetricKey: { primaryKey: secret, secondaryKey: secret } } };
      });
      await call('POST', '/devices', part);
    }
  }

  const invokeAll = async (prefix, method) => {
    const waiting = ids(prefix);
    const worker = async () => {
      for (let id = waiting.pop(); id; id = waiting.pop()) {
        const answer = await call('POST', `/twins/${id}/methods`, { methodName: method, payload: null, responseTimeoutInSeconds: 60 });
        if (answer.status !== 200 && answer.status !== 404) throw new Error(`${id} answered ${answer.status}`);
      }
    };
    const from = performance.now();
    await Promise.all(Array.from({ length: 64 }, worker));
    return count / seconds(from);
  };
  const firmware = join(folder, 'firmware.bin');
  writeFileSync(firmware, randomBytes(256 * 1024));
  const update = (prefix) => {
    const from = performance.now();
    const query = `SELECT * FROM devices WHERE startswith(deviceId, '${prefix}-')`;
    const done = spawnSync(ctl, [...global, 'firmware', 'update', '--package', firmware, '--query', query], { env: { ...process.env, ...env }, encoding: 'utf8' });
    if (done.status !== 0) throw new Error(`the update of ${prefix} failed: ${done.stdout}${done.stderr}`);
    return seconds(from);
  };

  // The caller's own connections are made before anything is timed.
  await Promise.all(Array.from({ length: 64 }, () => call('GET', '/statistics/devices')));

  const fleets = {
    ours: () =>
      start(ctl, [...global, 'simulate', '--count', String(count), '--model', 'firmware-a', '--prefix', 'ours', '--speed', 'fast',
        '--mqtt-port', String(mqttPort), '--connects-per-second', '10000'], env),
    node: () => {
      const strings = ids('node').map((id) => `HostName=localhost:${mqttPort};DeviceId=${id};SharedAccessKey=${secrets.get(id)}`);
      return start(process.execPath, [join(here, 'node-devices.cjs')], { NODE_EXTRA_CA_CERTS: caFile }, strings.join('\n'));
    },
  };
  const results = {};
  for (const [prefix, begin] of Object.entries(fleets)) {
    const hubBefore = resident(hub.child);
    const from = performance.now();
    const { child } = await begin();
    const connect = seconds(from);
    const memory = resident(child);
    const hubMemory = resident(hub.child) - hubBefore;
    // A method that no device knows is answered at once by both: the round trip and nothing else.
    const methods = await invokeAll(prefix, 'noSuchMethod');
    const took = update(prefix);
    results[prefix] = { connect, memory, hubMemory, methods, took, after: resident(child) };
    child.removeAllListeners('exit');
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    await gone;
  }

  const row = (name, unit, of, better) => {
    const [ours, node] = [of(results.ours), of(results.node)];
    const ratio = better === 'less' ? node / ours : ours / node;
    return `| ${name} | ${ours.toFixed(2)} ${unit} | ${node.toFixed(2)} ${unit} | ${ratio.toFixed(1)}× |`;
  };
  console.log(`${count} devices, ${cpus().length} × ${cpus()[0].model}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}\n`);
  console.log('| | Twindeck | Node SDK | better by |\n|---|---|---|---|');
  console.log(row('process start to all connected and subscribed', 's', (r) => r.connect, 'less'));
  console.log(row('memory of the process, a device', 'KiB', (r) => r.memory / count, 'less'));
  console.log(row('the same after the update', 'KiB', (r) => r.after / count, 'less'));
  console.log(row('direct methods, 64 outstanding', '/s', (r) => r.methods, 'more'));
  console.log(row('firmware update, 256 KiB, all completed', 's', (r) => r.took, 'less'));
  console.log(`\nThe hub's own memory grew by ${(results.ours.hubMemory / count).toFixed(1)} KiB a connection.`);
}

try {
  await main();
} finally {
  for (const child of children) {
    child.removeAllListeners('exit');
    child.kill('SIGTERM');
  }
  rmSync(folder, { recursive: true, force: true });
}

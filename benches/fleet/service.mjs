// The service side: calls the hub's REST API over connections that are kept.

import { createHmac, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import https from 'node:https';

/** Calls outstanding at once. */
export const OUTSTANDING = 64;
/** What one bulk call takes. */
const BULK = 100;

export class Service {
  #agent;
  #port;
  #authorization;

  /** @param ready what the hub said when it was ready */
  constructor({ httpsPort, caFile, serviceConnectionString }) {
    this.#agent = new https.Agent({ keepAlive: true, maxSockets: OUTSTANDING, ca: readFileSync(caFile) });
    this.#port = httpsPort;
    const key = Buffer.from(/SharedAccessKey=(.*)$/.exec(serviceConnectionString)[1], 'base64');
    const expiry = Math.floor(Date.now() / 1000) + 86_400;
    const signature = encodeURIComponent(createHmac('sha256', key).update(`localhost\n${expiry}`).digest('base64'));
    this.#authorization = `SharedAccessSignature sr=localhost&sig=${signature}&se=${expiry}&skn=iothubowner`;
  }

  call(method, path, body) {
    return new Promise((resolve, reject) => {
      const options = {
        agent: this.#agent,
        method,
        host: 'localhost',
        port: this.#port,
        path: `${path}?api-version=2021-04-12`,
        headers: { authorization: this.#authorization },
      };
      const request = https.request(options, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part) => (text += part));
        response.on('error', reject);
        response.on('end', () => {
          if (response.statusCode < 300) resolve(text && JSON.parse(text));
          else reject(new Error(`${method} ${path}: ${response.statusCode} ${text}`));
        });
      });
      request.on('error', reject).end(body && JSON.stringify(body));
    });
  }

  /** Calls `work` for every one of `ids`, so many at once; the first failure is the outcome. */
  async each(ids, work) {
    let next = 0;
    const worker = async () => {
      while (next < ids.length) await work(ids[next++]);
    };
    await Promise.all(Array.from({ length: OUTSTANDING }, worker));
  }

  /** Connections made before anything is timed. */
  warm() {
    return this.each(Array.from({ length: OUTSTANDING }), () => this.call('GET', '/statistics/devices'));
  }

  /** Makes devices; resolves with their keys in the same order. */
  async register(ids) {
    const keys = ids.map(() => randomBytes(32).toString('base64'));
    for (let at = 0; at < ids.length; at += BULK) {
      const items = ids.slice(at, at + BULK).map((id, index) => {
        const key = keys[at + index];
        const authentication = { type: 'sas', symmetricKey: { primaryKey: key, secondaryKey: key } };
        return { id, importMode: 'create', authentication };
      });
      await this.call('POST', '/devices', items);
    }
    return keys;
  }

  async connected() {
    return (await this.call('GET', '/statistics/service')).connectedDeviceCount;
  }

  async count(condition) {
    const [row] = await this.call('POST', '/devices/query', { query: `SELECT COUNT() AS n FROM devices WHERE ${condition}` });
    return row?.n ?? 0;
  }

  close() {
    this.#agent.destroy();
  }
}

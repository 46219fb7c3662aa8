// A program under measurement: started, looked at through /proc, and ended with this one. Linux.

import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

/** What Linux counts processor time in, on every architecture we know. */
const TICKS_PER_SECOND = 100;

export class Program {
  static #running = new Set();
  #child;
  #gone;

  /** @param {{ env?: object, input?: string }} with_ more environment, and what it reads from stdin */
  constructor(command, args, { env = {}, input = '' } = {}) {
    const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ['pipe', 'pipe', 'inherit'] });
    this.#child = child;
    Program.#running.add(this);
    // A program that ended without reading is told of by `ready`.
    child.stdin.on('error', () => {});
    child.stdin.end(input);
    this.#gone = new Promise((resolve) => child.once('exit', resolve));
    /** Its first line of JSON that says it is ready. */
    this.ready = new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code, signal) => reject(new Error(`${command} ended with ${code ?? signal}`)));
      createInterface({ input: child.stdout }).on('line', (line) => {
        const said = JSON.parse(line);
        if (said.ready) resolve(said);
      });
    });
  }

  get ended() {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** Resident memory in KiB, threads, and seconds of processor time so far. */
  usage() {
    const status = readFileSync(`/proc/${this.#child.pid}/status`, 'utf8');
    const number = (name) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)[1]);
    const stat = readFileSync(`/proc/${this.#child.pid}/stat`, 'utf8');
    // The program's name, in brackets, may hold spaces.
    const [user, kernel] = stat.slice(stat.lastIndexOf(')') + 2).split(' ').slice(11, 13).map(Number);
    return { resident: number('VmRSS'), threads: number('Threads'), cpu: (user + kernel) / TICKS_PER_SECOND };
  }

  async stop() {
    Program.#running.delete(this);
    this.#child.kill('SIGTERM');
    await this.#gone;
  }

  static stopAll() {
    return Promise.all([...Program.#running].map((program) => program.stop()));
  }
}

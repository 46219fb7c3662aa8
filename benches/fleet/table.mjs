// What the rounds came to, as a table for docs/benchmarks.md.

/** What a measurement of one fleet in one round says; `less` is better where it says so. */
const ROWS = [
  { name: 'connects, to the last subscription', unit: '/s', of: (m) => m.count / m.connect.seconds },
  { name: 'processor time of the fleet, a connect', unit: 'µs', less: true, of: (m) => micros(m.connect.fleet, m.count) },
  { name: 'processor time of the hub, a connect', unit: 'µs', less: true, of: (m) => micros(m.connect.hub, m.count) },
  { name: 'resident memory of the process, a device', unit: 'KiB', less: true, digits: 1, of: (m) => m.idle.resident / m.count },
  { name: 'the same, over a process with one device', unit: 'KiB', less: true, digits: 1, of: (m) => over(m, m.idle.resident) },
  { name: 'the same, after a change and a method each', unit: 'KiB', less: true, digits: 1, of: (m) => over(m, m.after.resident) },
  { name: 'threads of the process', unit: '', less: true, of: (m) => m.idle.threads },
  { name: 'processor time of the fleet, an idle device and minute', unit: 'µs', less: true, of: (m) => (micros(m.idle.fleet, m.count) / m.idle.seconds) * 60 },
  { name: 'desired changes acknowledged', unit: '/s', of: (m) => m.twins.calls / m.twins.seconds },
  { name: 'processor time of the fleet, each', unit: 'µs', less: true, of: (m) => micros(m.twins.fleet, m.twins.calls) },
  { name: 'processor time of the hub, each', unit: 'µs', less: true, of: (m) => micros(m.twins.hub, m.twins.calls) },
  { name: 'direct methods answered', unit: '/s', of: (m) => m.methods.calls / m.methods.seconds },
  { name: 'processor time of the fleet, each', unit: 'µs', less: true, of: (m) => micros(m.methods.fleet, m.methods.calls) },
  { name: 'processor time of the hub, each', unit: 'µs', less: true, of: (m) => micros(m.methods.hub, m.methods.calls) },
  { name: 'firmware updates of 256 KiB', unit: '/s', of: (m) => m.update && m.count / m.update.seconds },
  { name: 'memory of the process after them, a device', unit: 'KiB', less: true, digits: 1, of: (m) => m.update && m.update.resident / m.count },
];

const micros = (seconds, count) => (seconds / count) * 1e6;
const over = (measurement, resident) => (resident - measurement.alone.resident) / (measurement.count - 1);

function written(value, digits = 0) {
  const [whole, fraction] = value.toFixed(digits).split('.');
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ' ');
  return fraction ? `${grouped}.${fraction}` : grouped;
}

/** Lowest to highest; one number when they look alike. */
function range(values, digits, unit) {
  const [low, high] = [Math.min(...values), Math.max(...values)].map((value) => written(value, digits));
  return `${low === high ? low : `${low}–${high}`}${unit && ` ${unit}`}`;
}

/**
 * @param fleets `[{ name, title, count }]`, ours first
 * @param rounds each an object from a fleet's name to its measurement
 */
export function table(fleets, rounds) {
  const [ours, ...peers] = fleets;
  const cells = (list) => `| ${list.join(' | ')} |`;
  const lines = [
    cells(['', ...fleets.map(({ title }) => title), ...peers.map(({ title }) => `beside ${title}`)]),
    cells(['', ...fleets, ...peers].map(() => '---')),
    cells(['devices', ...fleets.map(({ count }) => written(count)), ...peers.map(() => '')]),
  ];
  for (const { name, unit, less, digits, of } of ROWS) {
    const values = (fleet) => rounds.map((round) => of(round[fleet.name]));
    if (values(ours).some((value) => value === undefined)) continue;
    const better = (peer) => {
      const ratios = values(peer).map((theirs, round) => (less ? theirs / values(ours)[round] : values(ours)[round] / theirs));
      // Less time than the kernel counts gives no ratio.
      return ratios.every(Number.isFinite) ? `${range(ratios, 1, '')}×` : '–';
    };
    lines.push(cells([name, ...fleets.map((fleet) => range(values(fleet), digits, unit)), ...peers.map(better)]));
  }
  // Later fleets meet a hub that has memory to reuse.
  const hub = written(rounds[0][ours.name].hubMemory, 1);
  lines.push('', `The hub's own memory grew by ${hub} KiB a connection in the first round, where our fleet came first.`);
  return lines.join('\n');
}

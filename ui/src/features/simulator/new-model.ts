/** The address of a model that has not been saved yet. Names of models never hold a space. */
export const NEW_MODEL = "new model";

/** `name`, or `name-2` and on, that no model has. */
export function freeName(name: string, taken: string[]): string {
  const known = new Set(taken.map((reference) => reference.replace(/\.toml$/, "")));
  if (!known.has(name)) return name;
  for (let number = 2; ; number += 1) if (!known.has(`${name}-${number}`)) return `${name}-${number}`;
}

/** The text of a model under a name of its own; everything else stays as it was written. */
export const renamed = (source: string, name: string): string => source.replace(/^(\s*name\s*=\s*)(["']).*?\2/m, (_, start: string) => `${start}"${name}"`);

/** The name as written; null where there is none to be seen. */
export const nameIn = (source: string): string | null => /^\s*name\s*=\s*["'](.+?)["']/m.exec(source)?.[1] ?? null;

export const templateOf = (taken: string[]): string => `name = "${freeName("sensor", taken)}"
title = "Sensor"
about = "Sends its temperature and can be told to beep"

[reported]
startedAt = "{now}"

[telemetry.climate]
every = "5s"
[telemetry.climate.values]
temperature = { walk = { start = 21.0, step = 0.4, min = 15.0, max = 35.0 } }

[methods.beep]
payload.times = { type = "integer", required = false }
steps = [
  { wait = "500ms" },
  { answer = { status = 200, payload = { beeped = "{now}" } } },
]

[desired.interval]
steps = [{ report = { interval = "{desired.interval}" } }]
`;

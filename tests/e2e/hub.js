// Hubs and devices outside the application.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { run, TWINDECKCTL } from "./app.js";

/** `twindeckctl hub serve` on free ports: a hub that the application reaches by its connection string. */
export async function serveHub(dataDir) {
  const child = spawn(TWINDECKCTL, ["hub", "serve", "--data-dir", dataDir, "--mqtt-port", "0", "--https-port", "0"], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, RUST_LOG: "error" },
  });
  const ended = once(child, "exit");
  const first = Promise.race([once(createInterface({ input: child.stdout }), "line"), ended.then(() => null)]);
  const line = await first;
  if (!line) throw new Error("hub serve ended before it was ready");
  const facts = JSON.parse(line[0]);
  return {
    ...facts,
    stop: async () => {
      child.kill("SIGTERM");
      await ended;
    },
  };
}

export const keyOf = (connectionString) => /SharedAccessKey=([^;]+)/.exec(connectionString)[1];

/** `twindeckctl` against a hub; the string goes through the environment. */
export async function control({ connectionString, caFile }, ...args) {
  const out = await run(TWINDECKCTL, ["--json", "--ca-file", caFile, ...args], { IOTHUB_CONNECTION_STRING: connectionString });
  return out.trim() === "" ? null : JSON.parse(out);
}

/** Copies the local hub's service connection string as a person does: copy, then paste. */
export async function localService(app, places) {
  await app.go("/local-hub");
  await app.click("copy-service-connection-string");
  await app.go("/welcome");
  const connectionString = await app.paste("connection-string");
  await app.go("/devices");
  return { connectionString, caFile: `${places.data}/local-hub/ca.pem` };
}

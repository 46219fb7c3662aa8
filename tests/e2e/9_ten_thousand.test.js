// Ten thousand simulated devices in the application: how long frames get, and how busy the backend is. Measured, not judged.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import test from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { until, withApp } from "./app.js";

/** The hub and the devices are one process here, and each device two of the files it may open. */
const room = Math.floor((Number(execFileSync("sh", ["-c", "ulimit -Hn"], { encoding: "utf8" })) - 400) / 2) || Infinity;
const DEVICES = Math.min(Number(process.env.SIMULATED ?? 10_000), room);
/** A measurement wants the machine for itself, so the suite leaves it out. */
const skip = process.env.SIMULATED ? false : "SIMULATED=10000 scripts/e2e 9_ten_thousand.test.js measures it";

/** From now on the page notes how far apart its frames are. */
const measure = (app) =>
  app.evaluate(() => {
    const gaps = [];
    const measured = { gaps, running: true };
    let before = performance.now();
    const look = (now) => {
      gaps.push(now - before);
      before = now;
      if (measured.running) requestAnimationFrame(look);
    };
    requestAnimationFrame((now) => {
      before = now;
      requestAnimationFrame(look);
    });
    window.framesMeasured = measured;
  });

const measured = async (app) => {
  const gaps = await app.evaluate(() => {
    window.framesMeasured.running = false;
    return window.framesMeasured.gaps;
  });
  gaps.sort((a, b) => a - b);
  const at = (share) => gaps[Math.min(gaps.length - 1, Math.floor(gaps.length * share))] ?? 0;
  return { frames: gaps.length, median: at(0.5), p99: at(0.99), longest: gaps.at(-1) ?? 0, over100: gaps.filter((gap) => gap > 100).length };
};

const told = ({ frames, median, p99, longest, over100 }) =>
  `${frames} frames, median ${median.toFixed(1)} ms, 99 % within ${p99.toFixed(1)} ms, longest ${longest.toFixed(1)} ms, ${over100} over 100 ms`;

const TICKS = Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }));

/** Seconds of processor and MiB of memory that the program itself has used; the web view is another program. */
async function used(pid) {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return { seconds: (Number(fields[11]) + Number(fields[12])) / TICKS, memory: Number(/VmRSS:\s+(\d+)/.exec(status)[1]) / 1024 };
}

async function cores(pid, seconds) {
  const before = await used(pid);
  await pause(seconds * 1000);
  const after = await used(pid);
  return { cores: (after.seconds - before.seconds) / seconds, memory: after.memory };
}

test(`${DEVICES} simulated devices run while the list scrolls, filters and updates`, { timeout: 900_000, skip }, async (t) => {
  await withApp("ten-thousand", { env: { RUST_LOG: "warn" } }, async (app, places) => {
    await app.startLocalHub();
    const pid = Number(await readFile(places.pid, "utf8"));
    const note = (what, text) => t.diagnostic(`${what}: ${text}`);
    // A slow machine is no reason to stop measuring.
    await app.browser.setTimeout({ script: 120_000 });

    // What this display does by itself, for comparison.
    await measure(app);
    await pause(3000);
    note("frames of an idle window", told(await measured(app)));

    await measure(app);
    const began = Date.now();
    await app.click("nav-simulator");
    await app.click("new-fleet");
    await app.type("add-simulated-count", String(DEVICES));
    await app.click("add-simulated-fast");
    await app.click("add-simulated-more");
    await app.type("add-simulated-pace", "1000");
    await app.click("add-simulated-create");
    await app.see("fleet-page");
    await until("all are created", async () => (await app.facts("dot-grid", "count"))[0]?.count === String(DEVICES), 300_000);
    note("created", `after ${((Date.now() - began) / 1000).toFixed(1)} s`);
    await app.see("count-connected", { "data-count": DEVICES }, 300_000);
    note("created and connected", `after ${((Date.now() - began) / 1000).toFixed(1)} s`);
    note("frames while they were created and connected, dots in sight", told(await measured(app)));
    await app.shots("95-ten-thousand-dots");

    await measure(app);
    await app.evaluate(async () => {
      const grid = document.querySelector("[data-testid=dot-grid]");
      for (let step = 0; step < 120; step += 1) {
        grid.scrollTop = (step % 60) * 40;
        await new Promise(requestAnimationFrame);
      }
    });
    note("frames while the dots were scrolled", told(await measured(app)));

    await app.go("/devices");
    await app.see("device-count", { "data-loaded": DEVICES }, 60_000);
    await app.connected(DEVICES, 60_000);
    const idle = await cores(pid, 15);
    note("idle and connected", `${idle.cores.toFixed(2)} cores, ${idle.memory.toFixed(0)} MiB resident`);

    const scroll = () =>
      app.evaluate(async () => {
        const list = document.querySelector("[data-testid=device-grid] [tabindex='-1']");
        const far = list.scrollHeight - list.clientHeight;
        for (let step = 0; step < 240; step += 1) {
          list.scrollTop = step < 120 ? step * 180 : (far * (step - 120)) / 120;
          await new Promise(requestAnimationFrame);
        }
      });
    await measure(app);
    await scroll();
    note("frames while the list was scrolled", told(await measured(app)));

    await measure(app);
    await app.type("device-filter", "sim-");
    await app.type("device-filter", "99");
    const matching = await app.text("device-count");
    await app.type("device-filter", " ");
    note("frames while it was filtered", told(await measured(app)));
    assert.match(matching, /match/);

    // Every device starts anew: thousands of rows change while the list is scrolled.
    await app.evaluate(async () => {
      const { invoke } = window.__TAURI_INTERNALS__;
      const [fleet] = await invoke("list_fleets");
      await invoke("set_fleet_faults", { id: fleet.id, faults: [{ kind: "flapping", every: "20s", lasts: "1s", devices: 1, chance: 1 }] });
    });
    await measure(app);
    const busy = cores(pid, 30);
    for (let round = 0; round < 6; round += 1) await scroll();
    const { cores: used } = await busy;
    note("frames while rows updated under a scrolling list", told(await measured(app)));
    note("meanwhile", `${used.toFixed(2)} cores`);
    await app.shot("96-ten-thousand-list");

    await app.evaluate(async () => {
      const { invoke } = window.__TAURI_INTERNALS__;
      const [fleet] = await invoke("list_fleets");
      await invoke("set_fleet_faults", { id: fleet.id, faults: [] });
    });
    await app.connected(DEVICES, 120_000);
    await app.go("/simulator");
    await app.see("count-connected", { "data-count": DEVICES }, 60_000);
  });
});

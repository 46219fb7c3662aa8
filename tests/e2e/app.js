// Opens the built application through WebDriver and finds things by their data-testid.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { remote } from "webdriverio";

const environment = (name) => process.env[name] ?? assert.fail(`${name} is missing: run scripts/e2e`);
export const TWINDECKCTL = environment("TWINDECKCTL");
const BINARY = environment("TWINDECK_BINARY");
const DRIVER = new URL(environment("WEBDRIVER_URL"));
const SHOTS = join(import.meta.dirname, "shots");
const PATIENCE = 15_000;

export const CTRL = "\uE009";
export const DELETE = "\uE017";
export const TAB = "\uE004";
export const ENTER = "\uE007";
export const WIDE = [1280, 820];
export const NARROW = [900, 600];

/** Looks again and again until `look` gives something true, and returns it. */
export async function until(what, look, patience = PATIENCE) {
  const deadline = Date.now() + patience;
  let last;
  for (;;) {
    try {
      const found = await look();
      if (found) return found;
      last = found;
    } catch (error) {
      last = error;
    }
    if (Date.now() > deadline) {
      throw new Error(`${what}: not so after ${patience} ms; last seen: ${last instanceof Error ? last.message : JSON.stringify(last)}`);
    }
    await pause(50);
  }
}

const runs = (pid) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

/** A folder for one test: the application's data, a home of its own, and what it logged. */
export async function scratch() {
  const root = await mkdtemp(join(tmpdir(), "twindeck-e2e-"));
  const places = { root, data: join(root, "data"), home: join(root, "home"), log: join(root, "app.log"), pid: join(root, "pid") };
  await mkdir(places.home, { mode: 0o700 });
  return { ...places, remove: () => rm(root, { recursive: true, force: true, maxRetries: 5 }) };
}

const quote = (text) => `'${String(text).replaceAll("'", `'\\''`)}'`;

/** The driver can give the application no environment and hides what it prints; a small script does both. */
async function launcher(places, env) {
  const settings = { TWINDECK_DATA_DIR: places.data, HOME: places.home, RUST_LOG: "info", ...env };
  const lines = Object.entries(settings).map(([name, value]) => (value === null ? `unset ${name}` : `export ${name}=${quote(value)}`));
  const script = `#!/bin/sh
${lines.join("\n")}
unset XDG_CONFIG_HOME XDG_DATA_HOME XDG_CACHE_HOME XDG_STATE_HOME IOTHUB_CONNECTION_STRING
echo $$ >${quote(places.pid)}
exec ${quote(BINARY)} >>${quote(places.log)} 2>&1
`;
  const path = join(places.root, "twindeck.sh");
  await writeFile(path, script);
  await chmod(path, 0o755);
  return path;
}

export class App {
  clicks = 0;

  constructor(places, env) {
    this.places = places;
    this.env = env;
  }

  async start() {
    this.browser = await remote({
      hostname: DRIVER.hostname,
      port: Number(DRIVER.port),
      logLevel: "silent",
      connectionRetryCount: 0,
      capabilities: {
        browserName: "wry",
        "wdio:enforceWebDriverClassic": true,
        "tauri:options": { application: await launcher(this.places, this.env) },
      },
    });
    await this.resize(WIDE);
    await this.see("hub-switcher");
    return this;
  }

  /** Closes the window, as a person does, and waits until the program has ended. */
  async close() {
    const pid = Number(await readFile(this.places.pid, "utf8"));
    await this.browser.closeWindow().catch(() => undefined);
    await this.browser.deleteSession().catch(() => undefined);
    try {
      await until("the application has ended", () => !runs(pid));
    } catch (error) {
      process.kill(pid, "SIGKILL");
      throw error;
    }
  }

  async restart(env = this.env) {
    await this.close();
    this.env = env;
    await this.start();
  }

  log() {
    return readFile(this.places.log, "utf8");
  }

  // ---- finding ---------------------------------------------------------------------------
  selector(testId, facts = {}) {
    const more = Object.entries(facts).map(([name, value]) => `[${name}=${JSON.stringify(String(value))}]`);
    return `[data-testid=${JSON.stringify(testId)}]${more.join("")}`;
  }

  /** Waits until it is on the screen. `facts` are attributes it has to have. */
  async see(testId, facts = {}, patience = PATIENCE) {
    const selector = this.selector(testId, facts);
    return until(`${selector} is on the screen`, async () => {
      const element = await this.browser.$(selector);
      return (await element.isDisplayed()) && element;
    }, patience);
  }

  async gone(testId, facts = {}) {
    const selector = this.selector(testId, facts);
    await until(`${selector} is gone`, async () => !(await this.browser.$(selector).isExisting()));
  }

  async text(testId, facts = {}, patience = PATIENCE) {
    await this.see(testId, facts, patience);
    return this.evaluate((selector) => document.querySelector(selector)?.textContent ?? "", this.selector(testId, facts));
  }

  /** Waits until its text holds, or matches, what is wanted. */
  async reads(testId, wanted, facts = {}, patience = PATIENCE) {
    return until(`${testId} reads ${wanted}`, async () => {
      const text = await this.text(testId, facts, 1000);
      const good = wanted instanceof RegExp ? wanted.test(text) : text.includes(wanted);
      if (!good) throw new Error(text);
      return text;
    }, patience);
  }

  evaluate(script, ...args) {
    return this.browser.execute(script, ...args);
  }

  /** The attributes of every such element that is drawn. */
  facts(testId, ...names) {
    return this.evaluate(
      (selector, wanted) =>
        [...document.querySelectorAll(selector)].map((element) => Object.fromEntries(wanted.map((name) => [name, element.getAttribute(`data-${name}`)]))),
      this.selector(testId),
      names,
    );
  }

  // ---- doing -----------------------------------------------------------------------------
  async click(testId, facts = {}) {
    await this.clickOn(this.selector(testId, facts));
  }

  async clickOn(selector) {
    await until(`${selector} can be clicked`, async () => {
      const element = await this.browser.$(selector);
      if (!(await element.isEnabled())) return false;
      // Now and then the driver loses a click right after the window's size has changed.
      await this.evaluate((wanted) => {
        window.clickArrived = false;
        const arrived = () => {
          window.clickArrived = true;
        };
        document.querySelector(wanted).addEventListener("click", arrived, { once: true, capture: true });
      }, selector);
      await element.click();
      return until("the click has arrived", () => this.evaluate(() => window.clickArrived), 1000);
    });
    this.clicks += 1;
  }

  async press(...keys) {
    await this.browser.keys(keys);
  }

  /** Clicks into a field and replaces what it holds; works for text fields and for the JSON editor. */
  async type(testId, text) {
    const content = `${this.selector(testId)} .cm-content`;
    const selector = (await (await this.browser.$(content)).isExisting()) ? content : this.selector(testId);
    await this.clickOn(selector);
    await this.press(CTRL, "a");
    await this.press(DELETE);
    await (await this.browser.$(selector)).addValue(text);
  }

  /** What the clipboard holds, by pasting it where a person would. */
  async paste(testId) {
    await this.click(testId);
    await this.press(CTRL, "a");
    await this.press(DELETE);
    await this.press(CTRL, "v");
    const selector = this.selector(testId);
    return until("something was pasted", () => this.evaluate((wanted) => document.querySelector(wanted).value, selector));
  }

  async go(path) {
    await this.evaluate((hash) => {
      window.location.hash = hash;
    }, path);
  }

  async resize([width, height]) {
    await until(`the window is ${width}×${height}`, async () => {
      await this.browser.setWindowSize(width, height);
      const [w, h] = await this.evaluate(() => [window.innerWidth, window.innerHeight]);
      return w === width && h === height;
    });
  }

  /** Through the application's own command, so that it costs no click. */
  async theme(theme) {
    await this.evaluate((wanted) => window.__TAURI_INTERNALS__.invoke("set_theme", { theme: wanted }), theme);
    await this.see("theme-menu", { "data-theme": theme });
    await until(`the window is ${theme}`, () => this.evaluate((dark) => document.documentElement.style.colorScheme === dark, theme));
  }

  // ---- looking ---------------------------------------------------------------------------
  async shot(name) {
    await mkdir(SHOTS, { recursive: true });
    // Two frames, so that what was just changed is drawn.
    await this.browser.executeAsync((done) => requestAnimationFrame(() => requestAnimationFrame(() => done())));
    // The driver waits for the next frame, which a page where nothing moves never draws.
    await this.evaluate(() => {
      const dot = document.createElement("div");
      dot.style.cssText = "position: fixed; right: 0; bottom: 0; width: 1px; height: 1px";
      document.body.append(dot);
      let turn = 0;
      window.shotDot = { dot, timer: setInterval(() => (dot.style.opacity = (turn += 1) % 2 ? "0.5" : "0.4"), 50) };
      dot.style.background = "currentColor";
    });
    await this.browser.saveScreenshot(join(SHOTS, `${name}.png`));
    await this.evaluate(() => {
      clearInterval(window.shotDot.timer);
      window.shotDot.dot.remove();
    });
  }

  /** What axe finds wrong with the screen as it is drawn now must be nothing. */
  async accessible(what) {
    const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
    // The page's own policy lets no script in; the driver may run one.
    if (!(await this.evaluate(() => "axe" in window))) await this.browser.execute(axe);
    const found = await this.browser.executeAsync((done) => {
      window.axe.run(document, { resultTypes: ["violations"], rules: { region: { enabled: false } } }).then(
        ({ violations }) => done(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 240)).join(" | ")}`)),
        (error) => done([String(error)]),
      );
    });
    assert.deepEqual(found, [], `${what} is accessible`);
  }

  /** One picture a theme and size; ends as it began: light and wide. */
  async shots(name, themes = ["light", "dark"], sizes = [WIDE, NARROW]) {
    for (const theme of themes) {
      await this.theme(theme);
      for (const size of sizes) {
        await this.resize(size);
        await this.shot(`${name}-${theme}-${size[0]}`);
      }
    }
    await this.theme("light");
    await this.resize(WIDE);
  }

  // ---- what many tests begin with ----------------------------------------------------------
  async startLocalHub() {
    await this.click("start-local-hub");
    await this.see("local-hub-state", { "data-status": "running" }, 30_000);
    await this.see("add-simulated");
  }

  async addSimulated({ count, prefix = "sim", fast = true }) {
    await this.click("add-simulated");
    await this.type("add-simulated-count", String(count));
    await this.type("add-simulated-prefix", prefix);
    if (fast) await this.click("add-simulated-fast");
    await this.click("add-simulated-create");
    await this.gone("add-simulated-create");
  }

  async connected(count, patience = 30_000) {
    await this.see("connected-count", { "data-connected": count }, patience);
  }

  /** Types a method's name and goes on, which puts away the list of known ones. */
  async nameMethod(name) {
    await this.type("method-name", name);
    await this.press(TAB);
  }

  async openDevice(id, tab = "twin") {
    await this.go(`/devices/${id}${tab === "twin" ? "" : `?tab=${tab}`}`);
    await this.reads("device-title", id);
  }
}

/** Runs a test with the application open in a folder of its own, and tells what it looked like if it fails. */
export async function withApp(name, options, work) {
  const places = options.places ?? (await scratch());
  const app = new App(places, options.env ?? {});
  try {
    await app.start();
    await work(app, places);
    await app.close();
  } catch (error) {
    await app.shot(`failed-${name}`).catch(() => undefined);
    const log = await app.log().catch(() => "");
    await app.close().catch(() => undefined);
    error.message += `\n--- the application's log, its end ---\n${log.slice(-3000)}`;
    throw error;
  } finally {
    if (!options.places) await places.remove();
  }
}

/** Runs a program and gives what it printed; its failure is an error that quotes its stderr. */
export const run = (program, args, env = {}) =>
  new Promise((resolve, reject) => {
    execFile(program, args, { env: { ...process.env, ...env }, timeout: 60_000 }, (error, stdout, stderr) =>
      error ? reject(new Error(`${program} ${args[0]}: ${error.code ?? error.signal} ${stderr}`)) : resolve(stdout),
    );
  });

// Where a key must not be: on the disk, in a log, in the web view.
import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

/** From now on the page keeps whatever the backend hands it: answers of commands and events alike. */
export async function watchMessages(app) {
  await app.evaluate(() => {
    const { callbacks } = window.__TAURI_INTERNALS__;
    const received = [];
    const find = callbacks.get.bind(callbacks);
    // Every answer and every event comes in through this one look-up.
    callbacks.get = (id) => {
      const callback = find(id);
      return (
        callback &&
        ((data) => {
          received.push(JSON.stringify(data) ?? "");
          return callback(data);
        })
      );
    };
    window.receivedFromBackend = received;
  });
  // The page asked these before it could be watched.
  await app.evaluate(async () => {
    const { invoke } = window.__TAURI_INTERNALS__;
    await invoke("app_state");
    await invoke("list_packages");
  });
}

/** All that the web view was given or keeps. */
export const inWebView = (app) =>
  app.evaluate(async () => {
    const cookies = document.cookie;
    const databases = (await indexedDB.databases?.()) ?? [];
    return {
      received: window.receivedFromBackend,
      page: document.documentElement.outerHTML,
      fields: [...document.querySelectorAll("input, textarea")].map((field) => field.value),
      stored: JSON.stringify([{ ...localStorage }, { ...sessionStorage }, cookies, databases]),
    };
  });

/** A key as text, as the bytes it stands for, and as it would stand in an address. */
const forms = (key) => [Buffer.from(key), Buffer.from(key, "base64"), Buffer.from(encodeURIComponent(key))];

export function absentFrom(what, content, keys) {
  const bytes = Buffer.isBuffer(content) ? content : Buffer.from(content);
  for (const key of keys) {
    assert.ok(key.length >= 32, "a key worth looking for");
    for (const form of forms(key)) assert.ok(!bytes.includes(form), `a key is in ${what}`);
  }
}

/** `witness` is no secret, and has to be found: it shows that the search sees what the window was given. */
export async function absentFromWebView(app, keys, witness) {
  const seen = await inWebView(app);
  assert.ok(seen.received.some((message) => message.includes(witness)), `${witness} is in a message`);
  absentFrom("a message to the web view", seen.received.join("\n"), keys);
  absentFrom("the page", seen.page, keys);
  absentFrom("a field of the page", seen.fields.join("\n"), keys);
  absentFrom("the web view's storage", seen.stored, keys);
  return seen.received.length;
}

/** Looks into every file below; returns how many there were. */
export async function absentFromFiles(folder, keys) {
  let files = 0;
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath ?? entry.path, entry.name);
    absentFrom(path, await readFile(path), keys);
    files += 1;
  }
  return files;
}

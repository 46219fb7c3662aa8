import { expect, test } from "vitest";
import type { Update, UpdateDevice, UpdateStage } from "../ipc";
import { applyUpdate, applyUpdatePage, beginUpdateReading, endUpdateReading, noUpdates } from "./updates";

const update: Update = {
  id: 7,
  packageName: "fw.bin",
  uri: "https://localhost/fw.bin",
  sha256: null,
  size: null,
  state: "running",
  startedAt: "2026-11-21T10:00:00Z",
  endedAt: null,
  total: 2,
  succeeded: 0,
  failed: 0,
  counts: [],
  summary: "",
};
const device = (deviceId: string, stage: UpdateStage): UpdateDevice => ({ deviceId, stage, since: update.startedAt, reason: null });

test("devices of an update that nobody opened are not kept", () => {
  const updates = applyUpdate(noUpdates, update, [device("a", "queued")]);
  expect(updates.byId[7]).toEqual(update);
  expect(updates.devices[7]).toBeUndefined();
});
test("an event wins over a page that was read before it", () => {
  let updates = beginUpdateReading(applyUpdate(noUpdates, update, []), 7);
  updates = applyUpdate(updates, update, [device("b", "completed")]);
  updates = applyUpdatePage(updates, 7, [device("a", "queued"), device("b", "applying")]);
  updates = endUpdateReading(updates, 7, true);
  expect(updates.devices[7]?.ids).toEqual(["a", "b"]);
  expect(updates.devices[7]?.rows.get("b")?.stage).toBe("completed");
});

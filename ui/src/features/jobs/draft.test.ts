import { describe, expect, test } from "vitest";
import type { NewJob } from "../../ipc";
import { type Draft, draftOf, emptyDraft, namesOf, readDraft, runnerOf, targetIsReady, workIsReady } from "./draft";

const draft = (change: Partial<Draft>): Draft => ({ ...emptyDraft, ...change });
const problems = (change: Partial<Draft>) => readDraft(draft(change)).problems;

describe("what a form comes to", () => {
  test("an empty payload is null, as the hub has it", () => {
    const { work, problems } = readDraft(draft({ methodName: " lockDoor ", target: "all" }));
    expect(work).toEqual({ kind: "invokeMethod", methodName: "lockDoor", payload: null, responseTimeoutSeconds: 30, connectTimeoutSeconds: 0 });
    expect(problems).toEqual({});
  });
  test("every device is meant only where that was chosen", () => {
    expect(problems({ methodName: "m", target: "query", condition: " " }).condition?.reason).toBe("missing");
    expect(readDraft(draft({ target: "all", condition: "tags.a = 1" })).target).toEqual({ kind: "query", condition: "" });
  });
  test("a section that is left empty is not sent", () => {
    expect(readDraft(draft({ kind: "updateTwin", desired: '{"floor": null}' })).work).toEqual({ kind: "updateTwin", desired: { floor: null }, tags: null });
  });
  test("what devices cannot do by the hub is run here, and the choice is kept for what it can", () => {
    expect(runnerOf(draft({ kind: "reboot", runner: "hub" }))).toBe("here");
    expect(runnerOf(draft({ kind: "updateTwin", runner: "hub" }))).toBe("hub");
  });
  test("names may be written with commas, spaces and lines between them", () => {
    expect(namesOf(" a, b\nc  a,")).toEqual(["a", "b", "c"]);
  });
});

describe("mistakes are told where they are", () => {
  test.each<[Partial<Draft>, string, string]>([
    [{ methodName: "" }, "methodName", "missing"],
    [{ payload: "{" }, "payload", "syntax"],
    [{ payload: `"${"x".repeat(128 * 1024)}"` }, "payload", "tooLarge"],
    [{ responseTimeout: "4" }, "responseTimeout", "range"],
    [{ connectTimeout: "1.5" }, "connectTimeout", "range"],
    [{ kind: "updateTwin" }, "desired", "missing"],
    [{ kind: "updateTwin", desired: "[1]" }, "desired", "notObject"],
    [{ kind: "updateTwin", tags: '"x"' }, "tags", "notObject"],
    [{ kind: "firmwareUpdate" }, "package", "missing"],
    [{ kind: "firmwareUpdate", package: { kind: "uri", uri: "ftp://x" } }, "package", "uri"],
    [{ kind: "configurationUpdate", setting: "a" }, "settingValue", "missing"],
    [{ kind: "configurationUpdate", settingValue: "1" }, "setting", "missing"],
    [{ kind: "readProperties", names: " , " }, "names", "missing"],
    [{ kind: "writeProperties", properties: "{}" }, "properties", "missing"],
    [{ target: "picked" }, "ids", "missing"],
    [{ minutes: "0" }, "minutes", "range"],
    [{ minutes: "10081" }, "minutes", "range"],
  ])("%o: %s is %s", (change, field, reason) => {
    expect(problems(change)[field as "names"]?.reason).toBe(reason);
  });
  test("devices are counted although the work is not all there, and the other way round", () => {
    const without = problems({ target: "all" });
    expect([workIsReady(without), targetIsReady(without)]).toEqual([false, true]);
    const lost = problems({ kind: "reboot", target: "picked" });
    expect([workIsReady(lost), targetIsReady(lost)]).toEqual([true, false]);
  });
});

describe("a job that is asked for again", () => {
  const again = (job: Partial<NewJob>) =>
    draftOf({ work: { kind: "reboot" }, target: { kind: "query", condition: "" }, runner: "here", startAt: null, maxMinutes: 7, expected: null, ...job }, "job");
  test("fills the form so that it comes to the same", () => {
    const works: NewJob["work"][] = [
      { kind: "invokeMethod", methodName: "lockDoor", payload: { lockTime: "10m" }, responseTimeoutSeconds: 60, connectTimeoutSeconds: 5 },
      { kind: "updateTwin", tags: null, desired: { building: "43", floor: null } },
      { kind: "firmwareUpdate", package: { kind: "package", id: "p" }, version: "2" },
      { kind: "configurationUpdate", name: "interval", value: null },
      { kind: "readProperties", names: ["a", "b"] },
      { kind: "writeProperties", properties: { a: 1 } },
      { kind: "delete" },
    ];
    for (const work of works) {
      const reading = readDraft(again({ work, target: { kind: "devices", ids: ["a"] } }));
      expect(reading).toEqual({ work, target: { kind: "devices", ids: ["a"] }, minutes: 7, problems: {} });
    }
  });
  test("of all devices is of all devices, however that was said", () => {
    expect(again({ target: { kind: "query", condition: "*" } }).target).toBe("all");
    expect(again({ target: { kind: "query", condition: " tags.a = 1 " } })).toMatchObject({ target: "query", condition: "tags.a = 1" });
  });
});

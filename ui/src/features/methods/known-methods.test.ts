import { expect, test } from "vitest";
import { chooseName, connectWrong, emptyDraft, responseWrong } from "./known-methods";

test("choosing a known method brings its payload and its timeout", () => {
  const draft = chooseName(emptyDraft, "rebootDevice");
  expect(draft).toMatchObject({ payload: '{"method_number":"42"}', response: "60" });
  expect(chooseName(draft, "lockDoor").payload).toBe('{"lockTime":"10m"}');
});
test("a payload that the person wrote stays", () => {
  expect(chooseName({ ...emptyDraft, payload: '{"my":1}' }, "lockDoor").payload).toBe('{"my":1}');
});
test("timeouts are held to what the hub takes", () => {
  expect(["4", "301", "", "7.5"].map(responseWrong)).toEqual([true, true, true, true]);
  expect(["5", "300"].map(responseWrong)).toEqual([false, false]);
  expect(["0", "300", "-1"].map(connectWrong)).toEqual([false, false, true]);
});

import { expect, test } from "vitest";
import type { Template } from "../ipc";
import { defaultsOf, given, keptVariables } from "./templates";

const template: Template = {
  id: "1",
  builtIn: false,
  name: "Door",
  use: { kind: "twin", section: "desired" },
  body: '{"floor":"{{floor}}","wing":"{{wing}}"}',
  variables: [
    { name: "floor", default: "3" },
    { name: "wing", default: null },
  ],
};

test("fields begin with the defaults", () => {
  expect(defaultsOf(template)).toEqual({ floor: "3", wing: "" });
});
test("a field left empty has a value only where the template has a default, which may be emptied", () => {
  expect(given(template, { floor: "", wing: "" })).toEqual({ floor: "" });
  expect(given(template, { floor: "4", wing: "b" })).toEqual({ floor: "4", wing: "b" });
});
test("a template keeps the defaults of the variables it has", () => {
  expect(keptVariables(["floor", "wing"], { floor: "3", gone: "x", wing: " " })).toEqual([
    { name: "floor", default: "3" },
    { name: "wing", default: null },
  ]);
});

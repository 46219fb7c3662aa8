import { expect, test } from "vitest";
import { freeName, nameIn, renamed, templateOf } from "./new-model";

test("a copy gets a name that nobody has", () => {
  expect(freeName("pump", ["thermostat"])).toBe("pump");
  expect(freeName("pump", ["pump.toml", "pump-2.toml"])).toBe("pump-3");
});

test("only the model's own name changes", () => {
  const source = '# a pump\nname = "pump"\n[reported]\nnote = "name = x"\n';
  expect(renamed(source, "pump-2")).toBe('# a pump\nname = "pump-2"\n[reported]\nnote = "name = x"\n');
  expect(nameIn(renamed(source, "pump-2"))).toBe("pump-2");
});

test("what a new model begins with has a free name", () => {
  expect(nameIn(templateOf(["sensor.toml"]))).toBe("sensor-2");
});

import { expect, test } from "vitest";
import type { ConsoleLine } from "../../ipc";
import { seriesOf } from "./telemetry";

const sent = (sequence: number, text: string, detail: string | null): ConsoleLine => ({
  sequence,
  at: `2026-11-21T10:00:0${sequence}Z`,
  kind: "sent",
  text,
  detail,
});

test("each number of the telemetry is a series, nested ones by their path", () => {
  const lines = [
    sent(0, "Telemetry climate", '{"temperature":21.5,"site":"north","air":{"co2":400}}'),
    sent(1, "Reported properties", '{"temperature":99}'),
    sent(2, "Telemetry climate", '{"temperature":22}'),
    sent(3, "Telemetry climate", '{"temperature":'),
    sent(4, "Telemetry climate", null),
  ];
  const series = seriesOf(lines);
  expect(series.map(({ path, points }) => [path, points.map(({ value }) => value)])).toEqual([
    ["temperature", [21.5, 22]],
    ["air.co2", [400]],
  ]);
});

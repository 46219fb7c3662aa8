import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate } from "react-router";
import { type Fleet, ipc } from "../ipc";
import { withLoad } from "../store/confirm";
import { countOf, runningOf } from "../store/fleets";
import { underWay } from "../store/jobs";
import { closeHub, openHub, readDevices, setTheme, startLocalHub, stopLocalHub, useStore } from "../store/store";
import { openDialog, orderJob, useUi } from "../store/ui";

/** Jobs under way that are listed by name. */
const MOST_JOBS = 20;

export type PaletteEntry = {
  id: string;
  group: "devices" | "actions" | "screens" | "hubs";
  label: string;
  note?: string;
  run: () => void;
};

export function usePaletteActions(): PaletteEntry[] {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const app = useStore((model) => model.app);
  const fleets = useStore((model) => model.fleets.list);
  const selected = useUi((ui) => ui.selected);
  const jobs = useStore((model) => model.jobs);
  return useMemo(() => {
    const entries: PaletteEntry[] = [];
    const add = (group: PaletteEntry["group"], id: string, label: string, run: () => void, note?: string) =>
      entries.push({ group, id: `${group}/${id}`, label, run, ...(note ? { note } : {}) });
    // The screens that these lead to show the state, and with it what may have gone wrong.
    const quietly = (work: Promise<unknown>) => void work.catch(() => undefined);

    if (app?.active) {
      if (selected.size > 0) {
        add("actions", "update", t("devices.updateFirmware", { count: selected.size }), () =>
          openDialog({ kind: "updateFirmware", deviceIds: [...selected].sort() }),
        );
      }
      add("actions", "new-job", t("jobs.new"), () => void navigate("/jobs/new"));
      if (selected.size > 0) {
        add("actions", "run-job", t("devices.runJob", { count: selected.size }), () => {
          orderJob({ ids: [...selected].sort(), source: "selection" });
          void navigate("/jobs/new");
        });
      }
      add("actions", "simulated", t("devices.addSimulated"), () => openDialog({ kind: "addSimulated" }));
      add("actions", "create", t("devices.create"), () => openDialog({ kind: "createDevice" }), t("keys.create"));
      add("actions", "reread", t("devices.reread"), () => void readDevices(), t("keys.reread"));
    }
    for (const job of app?.active ? underWay(jobs).slice(-MOST_JOBS) : []) {
      add("screens", `job/${job.id}`, t("jobs.openNamed", { title: job.title }), () => void navigate(`/jobs/${encodeURIComponent(job.id)}`));
    }
    for (const fleet of app?.active ? (fleets ?? []) : []) {
      const open = () => void navigate(`/simulator/fleets/${fleet.id}`);
      add("screens", `fleet/${fleet.id}`, t("simulator.openFleet", { name: fleet.name }), open);
      if (fleet.problem !== null || fleet.task?.running) continue;
      if (countOf(fleet, "stopped") > 0) {
        add("actions", `start-fleet/${fleet.id}`, t("simulator.startFleet", { name: fleet.name }), () => {
          open();
          quietly(startFleet(fleet, (count) => t("simulator.startCount", { count })));
        });
      }
      if (runningOf(fleet) > 0) {
        add("actions", `stop-fleet/${fleet.id}`, t("simulator.stopFleet", { name: fleet.name }), () => {
          open();
          quietly(ipc.stopFleet(fleet.id, fleet.perSecond));
        });
      }
    }
    const local = app?.localHub.status;
    if (local === "stopped" || local === "failed") {
      add("actions", "start", t("localHub.start"), () => {
        void navigate("/local-hub");
        quietly(startLocalHub());
      });
    } else if (local === "running") {
      add("actions", "stop", t("localHub.stop"), () => {
        void navigate("/local-hub");
        quietly(stopLocalHub());
      });
    }
    for (const theme of ["light", "dark", "highContrast", "system"] as const) {
      add("actions", theme, t("theme.use", { theme: t(`theme.${theme}`) }), () => quietly(setTheme(theme)));
    }
    add("actions", "shortcuts", t("shortcuts.title"), () => openDialog({ kind: "shortcuts" }), t("keys.map"));

    if (app?.active) add("screens", "devices", t("nav.devices"), () => void navigate("/devices"));
    add("screens", "simulator", t("nav.simulator"), () => void navigate("/simulator"));
    if (app?.active) add("screens", "jobs", t("nav.jobs"), () => void navigate("/jobs"));
    add("screens", "models", t("models.title"), () => void navigate("/simulator/models"));
    add("screens", "updates", t("nav.updates"), () => void navigate("/updates"));
    add("screens", "local", t("nav.localHub"), () => void navigate("/local-hub"));
    add("screens", "welcome", t("hubs.connect"), () => void navigate("/welcome"));

    for (const hub of app?.hubs ?? []) {
      if (hub.id !== app?.active?.hub.id) add("hubs", hub.id, t("hubs.openNamed", { alias: hub.alias }), () => quietly(openHub(hub.id)), hub.hostName);
    }
    if (app?.active) add("hubs", "close", t("hubs.close"), () => quietly(closeHub()));
    return entries;
  }, [app, fleets, jobs, selected, navigate, t]);
}

const startFleet = async (fleet: Fleet, submit: (count: number) => string) => {
  const { load } = fleet;
  if (!load) return;
  await withLoad(
    () => load,
    ({ devices }) => submit(devices),
    (confirmation) => ipc.startFleet(fleet.id, fleet.perSecond, confirmation),
  );
};

import { create } from "zustand";
import type { BulkFailure, FleetDraft, FleetLoad, LoadConfirmation } from "../ipc";

/** Dialogs that more than one screen can open; the frame shows them. */
export type OpenDialog =
  | { kind: "addSimulated" }
  | { kind: "fleetFile"; draft: FleetDraft }
  | { kind: "deleteFleet"; id: number }
  /** What a hub that is not local is asked for, before it is. */
  | { kind: "confirmLoad"; load: FleetLoad; submit: string; run: (confirmation: LoadConfirmation) => Promise<unknown> }
  | { kind: "createDevice" }
  | { kind: "deleteDevices"; deviceIds: string[] }
  | { kind: "updateFirmware"; deviceIds: string[] }
  | { kind: "palette" }
  | { kind: "shortcuts" };

/** The outcome of something done to many devices, shown above the list. */
export type Notice = { text: string; failures: BulkFailure[] };

/** What a new job is to be about, from the screen where the devices are seen; every device without ids. */
export type JobOrder = { ids: string[] | null; source: "selection" | "shown" };

type Ui = {
  notice: Notice | null;
  dialog: OpenDialog | null;
  navOpen: boolean;
  /** Devices picked in the list, and where a range with Shift starts. */
  selected: ReadonlySet<string>;
  anchor: string | null;
  filter: string;
  /** Taken up by the screen of a new job. */
  jobOrder: JobOrder | null;
  /** Models as they are being written, by reference; kept while other screens are looked at. */
  modelTexts: Record<string, string>;
};

export const useUi = create<Ui>(() => ({
  notice: null,
  dialog: null,
  navOpen: true,
  selected: new Set(),
  anchor: null,
  filter: "",
  jobOrder: null,
  modelTexts: {},
}));

export const openDialog = (dialog: OpenDialog) => useUi.setState({ dialog });
export const closeDialog = () => useUi.setState({ dialog: null });
const GOOD_NEWS = 8000;

/** Good news, which the list shows too, goes by itself; failures stay until they are put away. */
export function tell(notice: Notice | null): void {
  useUi.setState({ notice });
  if (!notice || notice.failures.length > 0) return;
  setTimeout(() => useUi.setState((ui) => (ui.notice === notice ? { notice: null } : {})), GOOD_NEWS);
}

export const keepModelText = (reference: string, text: string | null): void =>
  useUi.setState(({ modelTexts }) => {
    const { [reference]: _, ...others } = modelTexts;
    return { modelTexts: text === null ? others : { ...others, [reference]: text } };
  });
export const toggleNav = () => useUi.setState(({ navOpen }) => ({ navOpen: !navOpen }));
export const orderJob = (jobOrder: JobOrder | null) => useUi.setState({ jobOrder });
export const setFilter = (filter: string) => useUi.setState({ filter });
export const select = (selected: ReadonlySet<string>, anchor: string | null) => useUi.setState({ selected, anchor });
export const forgetSelection = () => useUi.setState({ selected: new Set(), anchor: null, filter: "", jobOrder: null, notice: null });

import type { FleetLoad, LoadConfirmation } from "../ipc";
import { useStore } from "./store";
import { openDialog } from "./ui";

/**
 * Does the work at once on the local hub. On any other the person is first told what it asks of
 * the hub, and the work gets what they have confirmed; its failures are then the dialog's.
 */
export async function withLoad(
  load: () => Promise<FleetLoad> | FleetLoad,
  submit: (load: FleetLoad) => string,
  work: (confirmation: LoadConfirmation | null) => Promise<unknown>,
): Promise<void> {
  if (useStore.getState().app?.active?.hub.kind === "local") {
    await work(null);
    return;
  }
  const known = await load();
  openDialog({ kind: "confirmLoad", load: known, submit: submit(known), run: work });
}

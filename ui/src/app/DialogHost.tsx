import { ConfirmLoadDialog } from "../components/ConfirmLoadDialog";
import { CreateDeviceDialog } from "../features/devices/CreateDeviceDialog";
import { DeleteDevicesDialog } from "../features/devices/DeleteDevicesDialog";
import { DeleteFleetDialog } from "../features/simulator/DeleteFleetDialog";
import { FleetFileDialog } from "../features/simulator/FleetFileDialog";
import { NewFleetDialog } from "../features/simulator/NewFleetDialog";
import { UpdateWizard } from "../features/updates/UpdateWizard";
import { closeDialog, useUi } from "../store/ui";
import { Palette } from "./Palette";
import { ShortcutMap } from "./ShortcutMap";

export function DialogHost() {
  const dialog = useUi((ui) => ui.dialog);
  switch (dialog?.kind) {
    case "addSimulated":
      return <NewFleetDialog onClose={closeDialog} />;
    case "fleetFile":
      return <FleetFileDialog draft={dialog.draft} onClose={closeDialog} />;
    case "deleteFleet":
      return <DeleteFleetDialog id={dialog.id} onClose={closeDialog} />;
    case "confirmLoad":
      return <ConfirmLoadDialog load={dialog.load} submit={dialog.submit} run={dialog.run} onClose={closeDialog} />;
    case "createDevice":
      return <CreateDeviceDialog onClose={closeDialog} />;
    case "deleteDevices":
      return <DeleteDevicesDialog deviceIds={dialog.deviceIds} onClose={closeDialog} />;
    case "updateFirmware":
      return <UpdateWizard deviceIds={dialog.deviceIds} onClose={closeDialog} />;
    case "palette":
      return <Palette onClose={closeDialog} />;
    case "shortcuts":
      return <ShortcutMap onClose={closeDialog} />;
    case undefined:
      return null;
  }
}

import { AddSimulatedDialog } from "../features/devices/AddSimulatedDialog";
import { CreateDeviceDialog } from "../features/devices/CreateDeviceDialog";
import { DeleteDevicesDialog } from "../features/devices/DeleteDevicesDialog";
import { UpdateWizard } from "../features/updates/UpdateWizard";
import { closeDialog, useUi } from "../store/ui";
import { Palette } from "./Palette";
import { ShortcutMap } from "./ShortcutMap";

export function DialogHost() {
  const dialog = useUi((ui) => ui.dialog);
  switch (dialog?.kind) {
    case "addSimulated":
      return <AddSimulatedDialog onClose={closeDialog} />;
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

//! Fleets of simulated devices of the open hub, and the models they are made of.

use tauri::{AppHandle, State};
use twindeck_app::{
    App, Result,
    view::{
        BulkResult, ConsoleLine, DeviceModel, Fleet, FleetDevices, FleetDraft, FleetLoad, LoadConfirmation, ModelCheck,
        NewFleet, SimulatedDevice, SwitchedFault,
    },
};

use crate::desktop;

#[tauri::command]
#[specta::specta]
pub(super) async fn list_fleets(app: State<'_, App>) -> Result<Vec<Fleet>> {
    app.list_fleets()
}

#[tauri::command]
#[specta::specta]
pub(super) async fn draft_fleet(app: State<'_, App>, fleet: NewFleet) -> Result<FleetDraft> {
    app.draft_fleet(&fleet)
}

#[tauri::command]
#[specta::specta]
pub(super) async fn check_fleet(app: State<'_, App>, source: String) -> Result<FleetDraft> {
    app.check_fleet(source)
}

/// What the chosen file says; `None` when the person closed the dialog.
#[tauri::command]
#[specta::specta]
pub(super) async fn import_fleet(handle: AppHandle, app: State<'_, App>) -> Result<Option<FleetDraft>> {
    match desktop::pick_file(&handle, "Choose a fleet file").await {
        Some(file) => app.import_fleet(&file).await.map(Some),
        None => Ok(None),
    }
}

/// Where the file was written; `None` when the person closed the dialog.
#[tauri::command]
#[specta::specta]
pub(super) async fn export_fleet(handle: AppHandle, app: State<'_, App>, id: u32) -> Result<Option<String>> {
    let name = app.fleet_file_name(id)?;
    let Some(file) = desktop::save_file(&handle, "Save the fleet file", &name).await else {
        return Ok(None);
    };
    app.export_fleet(id, &file).await?;
    Ok(Some(file.display().to_string()))
}

#[tauri::command]
#[specta::specta]
pub(super) async fn create_fleet(
    app: State<'_, App>,
    source: String,
    start: bool,
    confirmation: Option<LoadConfirmation>,
) -> Result<Fleet> {
    app.create_fleet(source, start, confirmation).await
}

#[tauri::command]
#[specta::specta]
pub(super) async fn create_missing(app: State<'_, App>, id: u32, confirmation: Option<LoadConfirmation>) -> Result<()> {
    app.create_missing(id, confirmation).await
}

#[tauri::command]
#[specta::specta]
pub(super) async fn start_fleet(
    app: State<'_, App>,
    id: u32,
    per_second: u32,
    confirmation: Option<LoadConfirmation>,
) -> Result<()> {
    app.start_fleet(id, per_second, confirmation).await
}

#[tauri::command]
#[specta::specta]
pub(super) async fn stop_fleet(app: State<'_, App>, id: u32, per_second: u32) -> Result<()> {
    app.stop_fleet(id, per_second).await
}

#[tauri::command]
#[specta::specta]
pub(super) async fn cancel_fleet_task(app: State<'_, App>, id: u32) -> Result<()> {
    app.cancel_fleet_task(id)
}

#[tauri::command]
#[specta::specta]
pub(super) async fn delete_fleet(app: State<'_, App>, id: u32) -> Result<()> {
    app.delete_fleet(id).await
}

#[tauri::command]
#[specta::specta]
pub(super) async fn set_fleet_start(
    app: State<'_, App>,
    id: u32,
    with_hub: bool,
    confirmation: Option<LoadConfirmation>,
) -> Result<()> {
    app.set_fleet_start(id, with_hub, confirmation).await
}

#[tauri::command]
#[specta::specta]
pub(super) async fn set_fleet_faults(app: State<'_, App>, id: u32, faults: Vec<SwitchedFault>) -> Result<Fleet> {
    app.set_fleet_faults(id, faults).await
}

#[tauri::command]
#[specta::specta]
pub(super) async fn watch_fleet(app: State<'_, App>, id: u32) -> Result<FleetDevices> {
    app.watch_fleet(id)
}

#[tauri::command]
#[specta::specta]
pub(super) async fn unwatch_fleet(app: State<'_, App>) -> Result<()> {
    app.unwatch_fleet();
    Ok(())
}

#[tauri::command]
#[specta::specta]
pub(super) async fn start_simulated(
    app: State<'_, App>,
    device_ids: Vec<String>,
    confirmation: Option<LoadConfirmation>,
) -> Result<BulkResult> {
    app.start_simulated(device_ids, confirmation).await
}

#[tauri::command]
#[specta::specta]
pub(super) async fn stop_simulated(app: State<'_, App>, device_ids: Vec<String>) -> Result<BulkResult> {
    app.stop_simulated(device_ids).await
}

#[tauri::command]
#[specta::specta]
pub(super) async fn simulated_load(app: State<'_, App>, device_ids: Vec<String>) -> Result<FleetLoad> {
    app.simulated_load(device_ids)
}

#[tauri::command]
#[specta::specta]
pub(super) async fn simulated_device(app: State<'_, App>, device_id: String) -> Result<SimulatedDevice> {
    app.simulated_device(device_id)
}

#[tauri::command]
#[specta::specta]
pub(super) async fn set_device_faults(
    app: State<'_, App>,
    device_id: String,
    faults: Option<Vec<SwitchedFault>>,
) -> Result<SimulatedDevice> {
    app.set_device_faults(device_id, faults).await
}

#[tauri::command]
#[specta::specta]
pub(super) async fn watch_console(app: State<'_, App>, device_id: String) -> Result<Vec<ConsoleLine>> {
    app.watch_console(device_id)
}

#[tauri::command]
#[specta::specta]
pub(super) async fn unwatch_console(app: State<'_, App>) -> Result<()> {
    app.unwatch_console();
    Ok(())
}

#[tauri::command]
#[specta::specta]
pub(super) async fn list_models(app: State<'_, App>) -> Result<Vec<DeviceModel>> {
    Ok(app.list_models())
}

#[tauri::command]
#[specta::specta]
pub(super) async fn read_model(app: State<'_, App>, reference: String) -> Result<String> {
    app.read_model(&reference)
}

#[tauri::command]
#[specta::specta]
pub(super) async fn check_model(app: State<'_, App>, source: String) -> Result<ModelCheck> {
    Ok(app.check_model(&source))
}

#[tauri::command]
#[specta::specta]
pub(super) async fn save_model(app: State<'_, App>, reference: Option<String>, source: String) -> Result<DeviceModel> {
    app.save_model(reference, source).await
}

#[tauri::command]
#[specta::specta]
pub(super) async fn delete_model(app: State<'_, App>, reference: String) -> Result<()> {
    app.delete_model(reference).await
}

/// Where the file was written; `None` when the person closed the dialog.
#[tauri::command]
#[specta::specta]
pub(super) async fn export_model(handle: AppHandle, app: State<'_, App>, reference: String) -> Result<Option<String>> {
    let name = app.model_file_name(&reference)?;
    let Some(file) = desktop::save_file(&handle, "Save the model", &name).await else {
        return Ok(None);
    };
    app.export_model(&reference, &file).await?;
    Ok(Some(file.display().to_string()))
}

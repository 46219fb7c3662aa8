//! Devices of the open hub.

use tauri::State;
use twindeck_app::{
    App, Result,
    view::{BulkResult, DevicePage},
};

#[tauri::command]
#[specta::specta]
pub(super) async fn list_devices(app: State<'_, App>, offset: u32, limit: u32) -> Result<DevicePage> {
    app.list_devices(offset, limit)
}

#[tauri::command]
#[specta::specta]
pub(super) async fn create_device(app: State<'_, App>, device_id: String) -> Result<()> {
    app.create_device(device_id).await
}

#[tauri::command]
#[specta::specta]
pub(super) async fn delete_devices(app: State<'_, App>, device_ids: Vec<String>) -> Result<BulkResult> {
    app.delete_devices(device_ids).await
}

#[tauri::command]
#[specta::specta]
pub(super) async fn set_device_enabled(app: State<'_, App>, device_id: String, enabled: bool) -> Result<()> {
    app.set_device_enabled(device_id, enabled).await
}

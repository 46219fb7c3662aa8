//! Device twins.

use tauri::State;
use twindeck_app::{
    App, Result,
    view::{Json, TwinSection, TwinView},
};

#[tauri::command]
#[specta::specta]
pub(super) async fn get_twin(app: State<'_, App>, device_id: String) -> Result<TwinView> {
    app.get_twin(device_id).await
}

#[tauri::command]
#[specta::specta]
pub(super) async fn watch_twin(app: State<'_, App>, device_id: String) -> Result<TwinView> {
    app.watch_twin(device_id).await
}

#[tauri::command]
#[specta::specta]
pub(super) async fn unwatch_twin(app: State<'_, App>, device_id: String) -> Result<()> {
    app.unwatch_twin(device_id)
}

#[tauri::command]
#[specta::specta]
pub(super) async fn update_twin(
    app: State<'_, App>,
    device_id: String,
    section: TwinSection,
    patch: Json,
    etag: String,
) -> Result<TwinView> {
    app.update_twin(device_id, section, patch.0, etag).await
}

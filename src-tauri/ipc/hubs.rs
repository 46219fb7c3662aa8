//! Hubs: the local one, saved ones, connection strings.

use hub_protocol::Secret;
use tauri::{AppHandle, State};
use twindeck_app::{
    App, Result,
    view::{ConnectionStringCheck, SavedHub},
};

use crate::desktop;

#[tauri::command]
#[specta::specta]
pub(super) async fn start_local_hub(app: State<'_, App>) -> Result<()> {
    app.start_local_hub().await
}

#[tauri::command]
#[specta::specta]
pub(super) async fn stop_local_hub(app: State<'_, App>) -> Result<()> {
    app.stop_local_hub().await
}

#[tauri::command]
#[specta::specta]
pub(super) fn check_connection_string(text: &str) -> ConnectionStringCheck {
    twindeck_app::check_connection_string(text)
}

#[tauri::command]
#[specta::specta]
pub(super) async fn add_hub(
    app: State<'_, App>,
    text: String,
    alias: String,
    colour: String,
    production: bool,
) -> Result<SavedHub> {
    app.add_hub(Secret::new(text), alias, colour, production).await
}

#[tauri::command]
#[specta::specta]
pub(super) async fn open_hub(app: State<'_, App>, id: String) -> Result<()> {
    app.open_hub(&id).await
}

#[tauri::command]
#[specta::specta]
pub(super) async fn close_hub(app: State<'_, App>) -> Result<()> {
    app.close_hub().await;
    Ok(())
}

#[tauri::command]
#[specta::specta]
pub(super) async fn forget_hub(app: State<'_, App>, id: String) -> Result<()> {
    app.forget_hub(&id).await
}

/// From the backend straight to the clipboard; the window never sees it.
#[tauri::command]
#[specta::specta]
pub(super) async fn copy_connection_string(
    handle: AppHandle,
    app: State<'_, App>,
    device_id: Option<String>,
) -> Result<()> {
    let secret = app.connection_string(device_id).await?;
    desktop::copy(&handle, secret.expose())
}

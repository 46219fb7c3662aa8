//! The hub on this machine, looked into: counters, protocol log, what its clients need.

use tauri::{AppHandle, State};
use twindeck_app::{
    App, Result,
    view::{LocalHubCounters, Refusal},
};

use crate::desktop;

#[tauri::command]
#[specta::specta]
pub(super) async fn watch_counters(app: State<'_, App>) -> Result<LocalHubCounters> {
    app.watch_counters().await
}

#[tauri::command]
#[specta::specta]
pub(super) async fn unwatch_counters(app: State<'_, App>) -> Result<()> {
    app.unwatch_counters();
    Ok(())
}

#[tauri::command]
#[specta::specta]
pub(super) async fn watch_protocol(app: State<'_, App>, client_id: String) -> Result<()> {
    app.watch_protocol(client_id).await
}

#[tauri::command]
#[specta::specta]
pub(super) async fn unwatch_protocol(app: State<'_, App>) -> Result<()> {
    app.unwatch_protocol();
    Ok(())
}

#[tauri::command]
#[specta::specta]
pub(super) async fn local_refusals(app: State<'_, App>) -> Result<Vec<Refusal>> {
    app.local_refusals().await
}

/// From the backend straight to the clipboard; the window never sees it.
#[tauri::command]
#[specta::specta]
pub(super) async fn copy_local_connection_string(
    handle: AppHandle,
    app: State<'_, App>,
    device_id: Option<String>,
) -> Result<()> {
    let secret = app.local_connection_string(device_id).await?;
    desktop::copy(&handle, secret.expose())
}

/// Where the certificate was written; `None` when the person closed the dialog.
#[tauri::command]
#[specta::specta]
pub(super) async fn export_ca(handle: AppHandle, app: State<'_, App>) -> Result<Option<String>> {
    let Some(file) = desktop::save_file(&handle, "Save the CA certificate", "twindeck-local-hub-ca.pem").await else {
        return Ok(None);
    };
    app.export_ca(&file).await?;
    Ok(Some(file.display().to_string()))
}

/// Starts the local hub anew where it runs.
#[tauri::command]
#[specta::specta]
pub(super) async fn set_local_limits(app: State<'_, App>, on: bool) -> Result<()> {
    app.set_local_limits(on).await
}

//! Packages and firmware updates.

use tauri::{AppHandle, State};
use twindeck_app::{
    App, Result,
    view::{Package, PackageSource, Update, UpdateDevice},
};

use crate::desktop;

#[tauri::command]
#[specta::specta]
pub(super) async fn list_packages(app: State<'_, App>) -> Result<Vec<Package>> {
    app.list_packages().await
}

#[tauri::command]
#[specta::specta]
pub(super) async fn pick_package(handle: AppHandle, app: State<'_, App>) -> Result<Option<Package>> {
    match desktop::pick_file(&handle, "Choose a firmware package").await {
        Some(file) => app.add_package(file).await.map(Some),
        None => Ok(None),
    }
}

#[tauri::command]
#[specta::specta]
pub(super) async fn sample_package(app: State<'_, App>) -> Result<Package> {
    app.sample_package().await
}

#[tauri::command]
#[specta::specta]
pub(super) async fn start_update(
    app: State<'_, App>,
    device_ids: Vec<String>,
    source: PackageSource,
) -> Result<Update> {
    app.start_update(device_ids, source).await
}

#[tauri::command]
#[specta::specta]
pub(super) async fn list_updates(app: State<'_, App>) -> Result<Vec<Update>> {
    app.list_updates().await
}

#[tauri::command]
#[specta::specta]
pub(super) async fn update_devices(app: State<'_, App>, id: u32, offset: u32, limit: u32) -> Result<Vec<UpdateDevice>> {
    app.update_devices(id, offset, limit).await
}

#[tauri::command]
#[specta::specta]
pub(super) async fn cancel_update(app: State<'_, App>, id: u32) -> Result<()> {
    app.cancel_update(id).await
}

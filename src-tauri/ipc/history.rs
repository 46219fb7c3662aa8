//! The history of a device.

use tauri::State;
use twindeck_app::{App, Result, view::HistoryPage};

#[tauri::command]
#[specta::specta]
pub(super) async fn device_history(
    app: State<'_, App>,
    device_id: String,
    offset: u32,
    limit: u32,
) -> Result<HistoryPage> {
    app.device_history(device_id, offset, limit).await
}

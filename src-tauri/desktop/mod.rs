//! What the desktop gives: windows, folders, dialogs, the clipboard.

use std::path::PathBuf;

use tauri::{AppHandle, Manager};
use tauri_plugin_clipboard_manager::ClipboardExt;
use tauri_plugin_dialog::DialogExt;
use tokio::sync::oneshot;
use twindeck_app::{AppError, Code, Result};

/// Where the application keeps its data; `TWINDECK_DATA_DIR` names another folder.
pub(crate) fn data_dir(app: &AppHandle) -> tauri::Result<PathBuf> {
    match std::env::var_os("TWINDECK_DATA_DIR") {
        Some(dir) => Ok(dir.into()),
        None => app.path().app_local_data_dir(),
    }
}

/// Brings the window to the front.
pub(crate) fn show(app: &AppHandle) {
    if let Some(window) = app.get_webview_window("main") {
        let shown = window
            .unminimize()
            .and_then(|()| window.show())
            .and_then(|()| window.set_focus());
        if let Err(error) = shown {
            tracing::warn!("the window could not be shown: {error}");
        }
    }
}

/// Asks for a file; `None` when the person closed the dialog.
pub(crate) async fn pick_file(app: &AppHandle, title: &str) -> Option<PathBuf> {
    let (picked, answer) = oneshot::channel();
    app.dialog().file().set_title(title).pick_file(move |file| {
        // The window may have been closed meanwhile.
        let _ = picked.send(file);
    });
    answer.await.ok().flatten()?.into_path().ok()
}

/// Asks where to write a file; `None` when the person closed the dialog.
pub(crate) async fn save_file(app: &AppHandle, title: &str, name: &str) -> Option<PathBuf> {
    let (picked, answer) = oneshot::channel();
    app.dialog()
        .file()
        .set_title(title)
        .set_file_name(name)
        .save_file(move |file| {
            // The window may have been closed meanwhile.
            let _ = picked.send(file);
        });
    answer.await.ok().flatten()?.into_path().ok()
}

pub(crate) fn copy(app: &AppHandle, text: &str) -> Result<()> {
    app.clipboard()
        .write_text(text)
        .map_err(|error| AppError::new(Code::Internal, "The clipboard did not take the text.").details(error))
}

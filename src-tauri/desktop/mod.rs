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

/// Where there is no graphics device (a virtual machine, a remote session), WebKit composites each
/// frame with a software OpenGL, which takes some 80 ms however little moved; painting without a
/// compositor takes a fraction of that.
#[cfg(target_os = "linux")]
pub(crate) fn paint_as_the_machine_can(app: &AppHandle) {
    use webkit2gtk::{HardwareAccelerationPolicy, SettingsExt, WebViewExt};
    let is_device = |name: std::ffi::OsString| name.to_string_lossy().starts_with("renderD");
    let has_device =
        std::fs::read_dir("/dev/dri").is_ok_and(|entries| entries.flatten().any(|entry| is_device(entry.file_name())));
    if has_device {
        return;
    }
    for window in app.webview_windows().values() {
        let set = window.with_webview(|webview| {
            if let Some(settings) = webview.inner().settings() {
                settings.set_hardware_acceleration_policy(HardwareAccelerationPolicy::Never);
            }
        });
        if let Err(error) = set {
            tracing::warn!("the window keeps its way of painting: {error}");
        }
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn paint_as_the_machine_can(_: &AppHandle) {}

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

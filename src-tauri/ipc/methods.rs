//! Direct methods.

use tauri::State;
use twindeck_app::{
    App, Result,
    view::{MethodCall, MethodRequest},
};

#[tauri::command]
#[specta::specta]
pub(super) async fn invoke_method(app: State<'_, App>, request: MethodRequest) -> Result<MethodCall> {
    app.invoke_method(request).await
}

#[tauri::command]
#[specta::specta]
pub(super) async fn method_calls(app: State<'_, App>, device_id: String) -> Result<Vec<MethodCall>> {
    app.method_calls(device_id).await
}

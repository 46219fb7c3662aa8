//! Templates of method calls and twin patches.

use std::collections::BTreeMap;

use tauri::State;
use twindeck_app::{
    App, Result,
    view::{NewTemplate, Template, TemplateCheck},
};

#[tauri::command]
#[specta::specta]
pub(super) async fn list_templates(app: State<'_, App>) -> Result<Vec<Template>> {
    app.list_templates().await
}

#[tauri::command]
#[specta::specta]
pub(super) async fn check_template(body: String) -> TemplateCheck {
    twindeck_app::check_template(&body)
}

#[tauri::command]
#[specta::specta]
pub(super) async fn save_template(app: State<'_, App>, template: NewTemplate, replace: bool) -> Result<Template> {
    app.save_template(template, replace).await
}

#[tauri::command]
#[specta::specta]
pub(super) async fn delete_template(app: State<'_, App>, id: String) -> Result<()> {
    app.delete_template(id).await
}

/// The body as JSON text, with these values and the defaults of the others.
#[tauri::command]
#[specta::specta]
pub(super) async fn fill_template(app: State<'_, App>, id: String, values: BTreeMap<String, String>) -> Result<String> {
    app.fill_template(id, values).await
}

//! Jobs over many devices.

use tauri::{AppHandle, State};
use twindeck_app::{
    App, Result,
    view::{
        Job, JobDeviceFilter, JobDevicePage, JobFilter, JobPage, JobPreview, JobRunner, JobTarget, JobWork, NewJob,
    },
};

use crate::desktop;

#[tauri::command]
#[specta::specta]
pub(super) async fn preview_job(
    app: State<'_, App>,
    work: JobWork,
    target: JobTarget,
    runner: JobRunner,
) -> Result<JobPreview> {
    app.preview_job(work, target, runner).await
}

#[tauri::command]
#[specta::specta]
pub(super) async fn create_job(app: State<'_, App>, job: NewJob) -> Result<Job> {
    app.create_job(job).await
}

#[tauri::command]
#[specta::specta]
pub(super) async fn list_jobs(app: State<'_, App>, filter: JobFilter, offset: u32, limit: u32) -> Result<JobPage> {
    app.list_jobs(filter, offset, limit).await
}

#[tauri::command]
#[specta::specta]
pub(super) async fn get_job(app: State<'_, App>, id: String) -> Result<Job> {
    app.get_job(id).await
}

/// What a job was asked to do, to be asked again.
#[tauri::command]
#[specta::specta]
pub(super) async fn job_request(app: State<'_, App>, id: String) -> Result<NewJob> {
    app.job_request(id).await
}

/// The same for the devices that it failed on, was cut short on, or never came to.
#[tauri::command]
#[specta::specta]
pub(super) async fn failed_job_request(app: State<'_, App>, id: String) -> Result<NewJob> {
    app.failed_job_request(id).await
}

#[tauri::command]
#[specta::specta]
pub(super) async fn job_devices(
    app: State<'_, App>,
    id: String,
    filter: JobDeviceFilter,
    offset: u32,
    limit: u32,
) -> Result<JobDevicePage> {
    app.job_devices(id, filter, offset, limit).await
}

#[tauri::command]
#[specta::specta]
pub(super) async fn cancel_job(app: State<'_, App>, id: String) -> Result<()> {
    app.cancel_job(id).await
}

/// Asks where to write a CSV of a job's devices; the number of rows, or null when the person
/// closed the dialog.
#[tauri::command]
#[specta::specta]
pub(super) async fn export_job(handle: AppHandle, app: State<'_, App>, id: String) -> Result<Option<u32>> {
    match desktop::save_file(&handle, "Export the job's devices", &format!("{id}.csv")).await {
        Some(file) => app.export_job(id, file).await.map(Some),
        None => Ok(None),
    }
}

/// Asks for a file of device ids (a CSV's first column); null when the person closed the dialog.
#[tauri::command]
#[specta::specta]
pub(super) async fn pick_device_ids(handle: AppHandle, app: State<'_, App>) -> Result<Option<Vec<String>>> {
    match desktop::pick_file(&handle, "Choose a file of device ids").await {
        Some(file) => app.read_device_ids(file).await.map(Some),
        None => Ok(None),
    }
}

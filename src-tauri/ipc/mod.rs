//! The typed commands, one thin file a feature, and the stream of events to the window.
//!
//! `ui/src/ipc/bindings.ts` is generated from this list; the test below fails until it is
//! committed.

mod devices;
mod history;
mod hubs;
mod jobs;
mod local_hub;
mod methods;
mod simulator;
mod templates;
mod twins;
mod updates;

use tauri::{State, ipc::Channel};
use tauri_specta::{Builder, ErrorHandlingMode, collect_commands};
use twindeck_app::{
    App, Result,
    view::{AppEvent, AppState, Theme},
};

pub(crate) fn commands() -> Builder<tauri::Wry> {
    Builder::<tauri::Wry>::new()
        .disable_serde_phases()
        .error_handling(ErrorHandlingMode::Throw)
        .commands(collect_commands![
            app_state,
            subscribe,
            set_theme,
            hubs::start_local_hub,
            hubs::stop_local_hub,
            hubs::check_connection_string,
            hubs::add_hub,
            hubs::open_hub,
            hubs::close_hub,
            hubs::forget_hub,
            hubs::copy_connection_string,
            local_hub::watch_counters,
            local_hub::unwatch_counters,
            local_hub::watch_protocol,
            local_hub::unwatch_protocol,
            local_hub::local_refusals,
            local_hub::copy_local_connection_string,
            local_hub::export_ca,
            local_hub::set_local_limits,
            devices::list_devices,
            devices::create_device,
            devices::delete_devices,
            devices::set_device_enabled,
            simulator::list_fleets,
            simulator::draft_fleet,
            simulator::check_fleet,
            simulator::import_fleet,
            simulator::export_fleet,
            simulator::create_fleet,
            simulator::create_missing,
            simulator::start_fleet,
            simulator::stop_fleet,
            simulator::cancel_fleet_task,
            simulator::delete_fleet,
            simulator::set_fleet_start,
            simulator::set_fleet_faults,
            simulator::watch_fleet,
            simulator::unwatch_fleet,
            simulator::start_simulated,
            simulator::stop_simulated,
            simulator::simulated_load,
            simulator::simulated_device,
            simulator::set_device_faults,
            simulator::watch_console,
            simulator::unwatch_console,
            simulator::list_models,
            simulator::read_model,
            simulator::check_model,
            simulator::save_model,
            simulator::delete_model,
            simulator::export_model,
            twins::get_twin,
            twins::watch_twin,
            twins::unwatch_twin,
            twins::update_twin,
            methods::invoke_method,
            methods::method_calls,
            jobs::preview_job,
            jobs::create_job,
            jobs::list_jobs,
            jobs::get_job,
            jobs::job_request,
            jobs::failed_job_request,
            jobs::job_devices,
            jobs::cancel_job,
            jobs::export_job,
            jobs::pick_device_ids,
            history::device_history,
            templates::list_templates,
            templates::check_template,
            templates::save_template,
            templates::delete_template,
            templates::fill_template,
            updates::list_packages,
            updates::pick_package,
            updates::sample_package,
            updates::start_update,
            updates::list_updates,
            updates::update_devices,
            updates::cancel_update,
        ])
}

#[tauri::command]
#[specta::specta]
async fn app_state(app: State<'_, App>) -> Result<AppState> {
    app.state().await
}

/// Sends batches of events until the window's page is gone.
#[tauri::command]
#[specta::specta]
async fn subscribe(app: State<'_, App>, channel: Channel<Vec<AppEvent>>) -> Result<()> {
    let mut batches = app.subscribe();
    tauri::async_runtime::spawn(async move {
        while let Some(batch) = batches.recv().await {
            if channel.send(batch).is_err() {
                return;
            }
        }
    });
    Ok(())
}

#[tauri::command]
#[specta::specta]
async fn set_theme(app: State<'_, App>, theme: Theme) -> Result<()> {
    app.set_theme(theme).await
}

#[cfg(test)]
mod tests {
    use specta_typescript::Typescript;

    #[test]
    fn the_bindings_of_the_window_are_the_ones_committed() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/ui/src/ipc/bindings.ts");
        let before = std::fs::read_to_string(path).unwrap_or_default();
        let header = "// Generated from src-tauri/ipc; do not edit.\n";
        super::commands()
            .export(Typescript::default().header(header), path)
            .unwrap();
        let after = std::fs::read_to_string(path).unwrap();
        assert!(
            before == after,
            "the bindings were out of date and have been written anew: commit them"
        );
    }
}

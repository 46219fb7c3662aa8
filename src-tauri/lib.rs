//! The shell: the only place that knows Tauri. It decides nothing; a command is one call into
//! `twindeck_app::App`.

mod desktop;
mod ipc;

use std::process::ExitCode;

use tauri::Manager;
use tracing_subscriber::EnvFilter;
use twindeck_app::App;

/// Runs the application until its window is closed.
pub fn run() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    twindeck_app::trust::install_cryptography();
    twindeck_app::open_files::raise();
    let commands = ipc::commands();
    let built = tauri::Builder::default()
        // First, as it must be: a second start only shows the first one's window.
        .plugin(tauri_plugin_single_instance::init(|app, _, _| desktop::show(app)))
        .plugin(tauri_plugin_dialog::init())
        .plugin(tauri_plugin_clipboard_manager::init())
        .plugin(tauri_plugin_window_state::Builder::new().build())
        .invoke_handler(commands.invoke_handler())
        .setup(|app| {
            desktop::paint_as_the_machine_can(app.handle());
            let dir = desktop::data_dir(app.handle())?;
            let twindeck = tauri::async_runtime::block_on(App::open(&dir))?;
            app.manage(twindeck);
            Ok(())
        })
        .build(tauri::generate_context!());
    let app = match built {
        Ok(app) => app,
        Err(error) => {
            tracing::error!("Twindeck could not start: {error}");
            return ExitCode::FAILURE;
        }
    };
    app.run(|app, event| {
        if let tauri::RunEvent::Exit = event {
            tauri::async_runtime::block_on(app.state::<App>().shutdown());
        }
    });
    ExitCode::SUCCESS
}

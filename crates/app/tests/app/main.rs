//! The application behind the window, whole: its own local hub, its simulated devices, its files.

#![allow(clippy::unwrap_used)]

mod fleets;
mod history;
mod templates;

use std::{collections::BTreeMap, path::Path, time::Duration};

use hub_protocol::Secret;
use serde_json::json;
use tokio::{sync::mpsc::Receiver, time::timeout};
use twindeck_app::{
    App, Code,
    credentials::Credentials,
    view::{
        AppEvent, DeviceRow, Fleet, FleetTask, MethodRequest, NewFleet, PackageSource, SecretPlace, SimulatedState,
        TwinSection, Update, UpdateStage, UpdateState,
    },
};

/// What a window knows, from events alone.
struct Window {
    app: App,
    events: Receiver<Vec<AppEvent>>,
    rows: BTreeMap<String, DeviceRow>,
    updates: BTreeMap<u32, Update>,
    fleets: Vec<Fleet>,
    /// Everything that was sent, as text.
    heard: String,
}

impl Window {
    fn open(app: &App) -> Self {
        Self {
            app: app.clone(),
            events: app.subscribe(),
            rows: BTreeMap::new(),
            updates: BTreeMap::new(),
            fleets: Vec::new(),
            heard: String::new(),
        }
    }

    async fn until(&mut self, what: &str, seen: impl Fn(&Self) -> bool) {
        let waited = timeout(Duration::from_secs(60), async {
            while !seen(self) {
                let batch = self
                    .events
                    .recv()
                    .await
                    .expect("the application tells events while it runs");
                self.heard.push_str(&serde_json::to_string(&batch).unwrap());
                batch.into_iter().for_each(|event| self.take(event));
            }
        });
        assert!(waited.await.is_ok(), "waited a minute for: {what}");
    }

    fn take(&mut self, event: AppEvent) {
        match event {
            AppEvent::Devices { upserts, removed, .. } => {
                removed.iter().for_each(|id| drop(self.rows.remove(id)));
                self.rows
                    .extend(upserts.into_iter().map(|row| (row.device_id.clone(), row)));
            }
            AppEvent::DevicesReset => {
                let page = self
                    .app
                    .list_devices(0, 10_000)
                    .map(|page| page.rows)
                    .unwrap_or_default();
                self.rows = page.into_iter().map(|row| (row.device_id.clone(), row)).collect();
            }
            AppEvent::Update { update, .. } => {
                self.updates.insert(update.id, *update);
            }
            AppEvent::Fleets { fleets } => self.fleets = fleets,
            _ => {}
        }
    }

    /// The end of the work under way on the first fleet.
    async fn until_done(&mut self) -> FleetTask {
        let ended = |window: &Self| {
            window
                .fleets
                .first()
                .is_some_and(|fleet| fleet.task.as_ref().is_some_and(|task| !task.running))
        };
        self.until("the end of the work", ended).await;
        self.fleets.first().and_then(|fleet| fleet.task.clone()).unwrap()
    }

    /// Devices of the first fleet in this state.
    fn in_state(&self, state: SimulatedState) -> u32 {
        let counts = self
            .fleets
            .first()
            .map(|fleet| fleet.counts.as_slice())
            .unwrap_or_default();
        counts
            .iter()
            .find(|known| known.state == state)
            .map_or(0, |known| known.count)
    }

    fn connected(&self) -> usize {
        self.rows.values().filter(|row| row.connected).count()
    }
}

async fn opened(dir: &Path) -> (App, Window) {
    let app = App::open_on_free_ports(dir).await.unwrap();
    let window = Window::open(&app);
    app.start_local_hub().await.unwrap();
    (app, window)
}

/// As the window's form has them.
fn form(count: u32, model: &str) -> NewFleet {
    NewFleet {
        name: "plant".into(),
        prefix: "sim".into(),
        count,
        model: model.into(),
        time_scale: 0.01,
        per_second: 500,
        tags: Vec::new(),
    }
}

async fn add(app: &App, form: NewFleet) -> Fleet {
    let draft = app.draft_fleet(&form).unwrap();
    assert_eq!((&draft.problem, draft.taken), (&None, 0));
    app.create_fleet(draft.source, true, None).await.unwrap()
}

fn method(name: &str, payload: &str) -> MethodRequest {
    MethodRequest {
        device_id: "sim-01".into(),
        method_name: name.into(),
        payload_text: payload.into(),
        response_timeout_seconds: 30,
        connect_timeout_seconds: 0,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_simulated_devices_update_and_the_window_hears_of_it_by_events_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (app, mut window) = opened(dir.path()).await;
    add(&app, form(20, "firmware-a")).await;
    window
        .until("20 connected devices", |window| window.connected() == 20)
        .await;

    let package = app.sample_package().await.unwrap();
    let ids = window.rows.keys().cloned().collect();
    let update = app
        .start_update(ids, PackageSource::Package { id: package.id })
        .await
        .unwrap();
    let ended = |window: &Window| {
        window
            .updates
            .get(&update.id)
            .is_some_and(|update| update.ended_at.is_some())
    };
    window.until("the end of the update", ended).await;
    let update = &window.updates[&update.id];
    assert_eq!(
        (update.state, update.succeeded, update.failed),
        (UpdateState::Completed, 20, 0)
    );
    assert_eq!(update.summary, "20 of 20 devices updated");
    window
        .until("rows that say so", |window| {
            window
                .rows
                .values()
                .all(|row| row.firmware_status.as_deref() == Some("completed"))
        })
        .await;
    app.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_never_hears_a_key() {
    let dir = tempfile::tempdir().unwrap();
    let (app, mut window) = opened(dir.path()).await;
    add(&app, form(2, "firmware-a")).await;
    window
        .until("2 connected devices", |window| window.connected() == 2)
        .await;
    app.invoke_method(method("rebootDevice", "")).await.unwrap();
    window
        .until("the reboot in a row", |window| window.heard.contains("rebootDevice"))
        .await;
    let mut heard = std::mem::take(&mut window.heard);
    heard.push_str(&serde_json::to_string(&app.state().await.unwrap()).unwrap());
    heard.push_str(&serde_json::to_string(&app.watch_twin("sim-01".into()).await.unwrap()).unwrap());
    heard.push_str(&serde_json::to_string(&app.list_devices(0, 10).unwrap()).unwrap());
    assert!(heard.contains("sim-01"));
    for id in [None, Some("sim-01".to_owned()), Some("sim-02".to_owned())] {
        let secret = app.connection_string(id).await.unwrap();
        let key = secret.expose().split_once("SharedAccessKey=").unwrap().1.to_owned();
        assert!(!heard.contains(&key), "a key crossed to the window");
    }
    app.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_twin_edit_on_top_of_another_is_refused_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (app, mut window) = opened(dir.path()).await;
    add(&app, form(1, "firmware-a")).await;
    window.until("the device", |window| window.connected() == 1).await;
    let before = app.get_twin("sim-01".into()).await.unwrap();
    let patch = json!({"building": 43, "floor": 3});
    let written = app
        .update_twin(
            "sim-01".into(),
            TwinSection::Desired,
            patch.clone(),
            before.etag.clone(),
        )
        .await
        .unwrap();
    assert_eq!(written.desired, patch);
    let second = app
        .update_twin("sim-01".into(), TwinSection::Tags, json!({"a": 1}), before.etag)
        .await
        .unwrap_err();
    assert_eq!(second.code, Code::PreconditionFailed);
    assert_eq!(app.get_twin("sim-01".into()).await.unwrap().tags, json!({}));
    let removed = app
        .update_twin(
            "sim-01".into(),
            TwinSection::Desired,
            json!({"floor": null}),
            written.etag,
        )
        .await
        .unwrap();
    assert_eq!(removed.desired, json!({"building": 43}));
    app.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_kept_with_their_answers_and_failures() {
    let dir = tempfile::tempdir().unwrap();
    let (app, mut window) = opened(dir.path()).await;
    add(&app, form(1, "firmware-a")).await;
    window.until("the device", |window| window.connected() == 1).await;
    let answered = app
        .invoke_method(method("rebootDevice", r#"{"method_number":"42"}"#))
        .await
        .unwrap();
    assert_eq!((answered.status, answered.error), (Some(200), None));
    app.stop_simulated(vec!["sim-01".into()]).await.unwrap();
    window
        .until("the device to be gone", |window| window.connected() == 0)
        .await;
    let offline = app.invoke_method(method("rebootDevice", "")).await.unwrap();
    assert_eq!(offline.error.unwrap().code, Code::DeviceOffline);
    assert_eq!(
        app.invoke_method(method("rebootDevice", "{")).await.unwrap_err().code,
        Code::InvalidInput
    );
    let large = format!("\"{}\"", "x".repeat(128 * 1024));
    assert_eq!(
        app.invoke_method(method("rebootDevice", &large))
            .await
            .unwrap_err()
            .code,
        Code::InvalidInput
    );
    let kept = app.method_calls("sim-01".into()).await.unwrap();
    assert_eq!(
        kept.iter().map(|call| call.status).collect::<Vec<_>>(),
        [None, Some(200)]
    );
    app.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_survives_a_restart_and_what_had_not_begun_stays_so() {
    let dir = tempfile::tempdir().unwrap();
    let (app, mut window) = opened(dir.path()).await;
    let tutorial = NewFleet {
        time_scale: 1.0,
        ..form(40, "firmware-a")
    };
    add(&app, tutorial).await;
    window
        .until("40 connected devices", |window| window.connected() == 40)
        .await;
    let package = app.sample_package().await.unwrap();
    let mut ids: Vec<String> = window.rows.keys().cloned().collect();
    // A device that is not on the hub ends at once.
    ids.push("not-there".into());
    let update = app
        .start_update(ids, PackageSource::Package { id: package.id })
        .await
        .unwrap();
    window
        .until("a device on its way", |window| {
            window
                .updates
                .get(&update.id)
                .is_some_and(|update| update.counts.iter().any(|c| c.stage == UpdateStage::StandBy))
        })
        .await;
    app.shutdown().await;
    drop((app, window));

    let (app, mut window) = opened(dir.path()).await;
    let running = |window: &Window| {
        window
            .updates
            .get(&update.id)
            .is_some_and(|u| u.state == UpdateState::Running)
    };
    window.until("the update to go on", running).await;
    let devices = app.update_devices(update.id, 0, 100).await.unwrap();
    assert_eq!(devices.len(), 41, "no device is forgotten");
    assert!(
        devices
            .iter()
            .all(|device| device.stage != UpdateStage::Queued && device.stage != UpdateStage::Dispatching)
    );
    let same = app
        .start_update(
            vec!["sim-01".into()],
            PackageSource::Uri {
                uri: "http://127.0.0.1:1/x".into(),
            },
        )
        .await;
    assert_eq!(
        same.unwrap_err().code,
        Code::AlreadyExists,
        "one update a device at a time"
    );
    app.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_refused_at_the_edge_with_a_hint() {
    let dir = tempfile::tempdir().unwrap();
    let app = App::open_on_free_ports(dir.path()).await.unwrap();
    assert_eq!(app.list_devices(0, 10).unwrap_err().code, Code::NoHub);
    let string = Secret::new("HostName=h;SharedAccessKeyName=p;SharedAccessKey=short");
    let error = app
        .add_hub(string, String::new(), String::new(), false)
        .await
        .unwrap_err();
    assert_eq!(error.code, Code::InvalidConnectionString);
    assert!(error.message.contains("SharedAccessKey") && error.hint.is_some());
    let unknown = "HostName=no-such-hub.invalid;SharedAccessKeyName=p;SharedAccessKey=MDEyMzQ1Njc4OWFiY2RlZg==";
    let error = app
        .add_hub(Secret::new(unknown), String::new(), String::new(), false)
        .await
        .unwrap_err();
    assert!(matches!(error.code, Code::UnknownHost | Code::Unreachable), "{error:?}");
    assert!(app.state().await.unwrap().hubs.is_empty(), "nothing half done");
    app.start_local_hub().await.unwrap();
    let uri = PackageSource::Uri { uri: "ftp://x".into() };
    assert_eq!(
        app.start_update(vec!["d".into()], uri).await.unwrap_err().code,
        Code::InvalidInput
    );
    let missing = app.add_package(dir.path().join("missing.bin")).await.unwrap_err();
    assert_eq!(missing.code, Code::InvalidInput);
    app.shutdown().await;
}

/// Needs a session bus with an unlocked Secret Service; `scripts/with-keyring` gives one.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs an unlocked Secret Service"]
async fn a_connection_string_survives_in_the_secret_service_until_it_is_forgotten() {
    let secret = Secret::new("HostName=h;SharedAccessKeyName=p;SharedAccessKey=MDEyMzQ1Njc4OWFiY2RlZg==");
    let credentials = Credentials::default();
    assert!(credentials.probe().await.available);
    assert_eq!(credentials.keep("test", &secret).await.unwrap(), SecretPlace::Keychain);
    // Another run of the application has nothing in memory.
    let later = Credentials::default();
    assert_eq!(later.find("test").await.unwrap(), secret);
    later.forget("test").await.unwrap();
    assert_eq!(later.find("test").await.unwrap_err().code, Code::Keychain);
}

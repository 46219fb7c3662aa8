//! What is kept of a device's twin, against the real local hub.

use std::{path::Path, time::Duration};

use hub_client::{HubClient, IfMatch};
use hub_protocol::{DeviceId, ServiceConnectionString, twin::TwinPatch};
use serde_json::{Value, json};
use tokio::time::timeout;
use twindeck_app::{
    App, Code, trust,
    view::{
        Author, ChangedSection, HistoryEntry, HistoryPage, JobRunner, JobTarget, JobWork, NewJob, PackageSource,
        TwinChange, TwinSection, UpdateStage,
    },
};

use crate::{Window, add, form, method, opened};

/// Another program that talks to the same hub.
async fn somebody_else(app: &App) -> HubClient {
    let string = app.connection_string(None).await.unwrap();
    let ca_file = app.state().await.unwrap().local_hub.ca_file;
    let tls = trust::only(Path::new(&ca_file)).unwrap();
    HubClient::new(ServiceConnectionString::parse(string.expose()).unwrap(), tls).unwrap()
}

async fn write_desired(client: &HubClient, device: &str, patch: Value) {
    let Value::Object(patch) = patch else {
        panic!("not an object")
    };
    let id = DeviceId::new(device).unwrap();
    client
        .update_twin(&id, &TwinPatch::desired(patch), IfMatch::None)
        .await
        .unwrap();
}

/// Reads again whenever something new is told of.
async fn until_kept(
    window: &mut Window,
    device: &str,
    what: &str,
    seen: impl Fn(&[TwinChange]) -> bool,
) -> Vec<TwinChange> {
    let reading = timeout(Duration::from_secs(60), async {
        loop {
            let kept = changes(history(&window.app, device).await);
            if seen(&kept) {
                return kept;
            }
            let batch = window.events.recv().await.unwrap();
            batch.into_iter().for_each(|event| window.take(event));
        }
    });
    reading.await.unwrap_or_else(|_| panic!("waited a minute for: {what}"))
}

async fn history(app: &App, device: &str) -> HistoryPage {
    app.device_history(device.into(), 0, 200).await.unwrap()
}

fn changes(page: HistoryPage) -> Vec<TwinChange> {
    let twin = |entry| match entry {
        HistoryEntry::Twin { change, .. } => Some(change),
        _ => None,
    };
    page.entries.into_iter().filter_map(twin).collect()
}

/// As `section author path before→after`.
fn lines(changes: &[TwinChange]) -> Vec<String> {
    let line = |change: &TwinChange| {
        let paths = change.paths.iter().map(|path| {
            let value = |value: &Option<Value>| value.as_ref().map_or("-".to_owned(), ToString::to_string);
            format!("{} {}→{}", path.path, value(&path.before), value(&path.after))
        });
        format!(
            "{:?} {:?} {}",
            change.section,
            change.author,
            paths.collect::<Vec<_>>().join(", ")
        )
    };
    changes.iter().map(line).collect()
}

/// Two stopped devices of a fleet.
async fn two_devices(app: &App, window: &mut Window) {
    add(app, form(2, "firmware-a")).await;
    window.until("the devices", |window| window.connected() == 2).await;
    app.stop_simulated(vec!["sim-01".into(), "sim-02".into()])
        .await
        .unwrap();
    window.until("both to be gone", |window| window.connected() == 0).await;
}

async fn write(app: &App, device: &str, section: TwinSection, patch: Value) {
    let etag = app.get_twin(device.into()).await.unwrap().etag;
    app.update_twin(device.into(), section, patch, etag).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_from_here_are_kept_also_of_devices_that_nobody_watches_and_nothing_else_is() {
    let dir = tempfile::tempdir().unwrap();
    let (app, mut window) = opened(dir.path()).await;
    two_devices(&app, &mut window).await;
    write(
        &app,
        "sim-01",
        TwinSection::Desired,
        json!({"building": 43, "at": {"floor": 3}}),
    )
    .await;
    write(
        &app,
        "sim-01",
        TwinSection::Desired,
        json!({"building": null, "at": {"floor": 4}}),
    )
    .await;
    write(&app, "sim-01", TwinSection::Tags, json!({"site": "north"})).await;
    // Written by another program, unwatched.
    let unseen = window.rows["sim-02"].version;
    write_desired(&somebody_else(&app).await, "sim-02", json!({"interval": 5})).await;
    window
        .until("its row", |window| window.rows["sim-02"].version > unseen)
        .await;
    assert_eq!(
        lines(&changes(history(&app, "sim-01").await)),
        [
            r#"Tags Here site -→"north""#,
            "Desired Here at.floor 3→4, building 43→-",
            r#"Desired Here at -→{"floor":3}, building -→43"#
        ]
    );
    assert!(changes(history(&app, "sim-02").await).is_empty());
    // It is there after a restart.
    app.shutdown().await;
    drop((app, window));
    let (app, _window) = opened(dir.path()).await;
    let kept = changes(history(&app, "sim-01").await);
    assert_eq!(
        (kept.len(), kept[2].section, kept[2].version),
        (3, ChangedSection::Desired, 2)
    );
    app.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_watched_device_everything_is_kept_with_who_did_it_among_calls_in_time() {
    let dir = tempfile::tempdir().unwrap();
    let (app, mut window) = opened(dir.path()).await;
    add(&app, form(1, "reboot")).await;
    window.until("the device", |window| window.connected() == 1).await;
    app.watch_twin("sim-01".into()).await.unwrap();
    write_desired(&somebody_else(&app).await, "sim-01", json!({"interval": 5})).await;
    until_kept(&mut window, "sim-01", "the other's change", |kept| !kept.is_empty()).await;
    write(&app, "sim-01", TwinSection::Desired, json!({"interval": 6})).await;
    app.invoke_method(method("rebootDevice", "")).await.unwrap();
    let reported = |kept: &[TwinChange]| kept.iter().any(|change| change.section == ChangedSection::Reported);
    let kept = until_kept(&mut window, "sim-01", "what the device said", reported).await;
    let mut lines = lines(&kept);
    lines.retain(|line| !line.starts_with("Reported Device"));
    assert_eq!(
        lines,
        ["Desired Here interval 5→6", "Desired Elsewhere interval -→5"],
        "each once, and what the device reports is the device's"
    );
    let page = history(&app, "sim-01").await;
    let call = page
        .entries
        .iter()
        .position(|entry| matches!(entry, HistoryEntry::Call { call, .. } if call.status == Some(200)));
    let ours = page.entries.iter().position(|entry| {
        matches!(entry, HistoryEntry::Twin { change, .. } if change.section == ChangedSection::Desired && change.version == 3)
    });
    assert!(call.unwrap() < ours.unwrap(), "the call came after: {page:?}");

    app.unwatch_twin("sim-01".into()).unwrap();
    let unseen = window.rows["sim-01"].version;
    write_desired(&somebody_else(&app).await, "sim-01", json!({"interval": 7})).await;
    window
        .until("its row", |window| window.rows["sim-01"].version > unseen)
        .await;
    write(&app, "sim-01", TwinSection::Tags, json!({"seen": true})).await;
    let kept = changes(history(&app, "sim-01").await);
    assert!(
        !self::lines(&kept).iter().any(|line| line.contains("→7")),
        "nobody watched: {kept:?}"
    );
    app.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_changes_of_a_device_are_kept_and_read_in_pages() {
    let dir = tempfile::tempdir().unwrap();
    let (app, mut window) = opened(dir.path()).await;
    two_devices(&app, &mut window).await;
    app.watch_twin("sim-01".into()).await.unwrap();
    let other = somebody_else(&app).await;
    for number in 0..=203 {
        write_desired(&other, "sim-01", json!({"n": number})).await;
    }
    let last = |kept: &[TwinChange]| {
        kept.first()
            .is_some_and(|change| change.paths[0].after == Some(json!(203)))
    };
    until_kept(&mut window, "sim-01", "the last change", last).await;
    let mut seen = Vec::new();
    loop {
        let offset = u32::try_from(seen.len()).unwrap();
        let page = app.device_history("sim-01".into(), offset, 60).await.unwrap();
        let more = page.more;
        seen.extend(changes(page));
        if !more {
            break;
        }
    }
    let values: Vec<i64> = seen
        .iter()
        .map(|change| change.paths[0].after.as_ref().unwrap().as_i64().unwrap())
        .collect();
    assert_eq!(values, (4..=203).rev().collect::<Vec<_>>());
    app.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_section_that_would_be_too_large_is_refused_before_it_is_sent() {
    let dir = tempfile::tempdir().unwrap();
    let (app, mut window) = opened(dir.path()).await;
    two_devices(&app, &mut window).await;
    let text = "x".repeat(4000);
    write(&app, "sim-01", TwinSection::Tags, json!({"a": text, "b": text})).await;
    let before = app.get_twin("sim-01".into()).await.unwrap();
    let error = app
        .update_twin(
            "sim-01".into(),
            TwinSection::Tags,
            json!({"c": text}),
            before.etag.clone(),
        )
        .await
        .unwrap_err();
    assert_eq!(error.code, Code::InvalidInput);
    assert!(error.message.contains("8192") && error.hint.is_some(), "{error}");
    // What takes its place fits.
    let written = app
        .update_twin(
            "sim-01".into(),
            TwinSection::Tags,
            json!({"c": text, "a": null}),
            before.etag,
        )
        .await
        .unwrap();
    assert_eq!(written.tags_size, 2 * 4001);
    app.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_of_a_device_stands_in_its_history_with_how_it_ended() {
    let dir = tempfile::tempdir().unwrap();
    let (app, mut window) = opened(dir.path()).await;
    add(&app, form(2, "firmware-a")).await;
    window.until("the devices", |window| window.connected() == 2).await;
    let package = app.sample_package().await.unwrap();
    let update = app
        .start_update(vec!["sim-01".into()], PackageSource::Package { id: package.id })
        .await
        .unwrap();
    let ended = |window: &Window| {
        window
            .updates
            .get(&update.id)
            .is_some_and(|update| update.ended_at.is_some())
    };
    window.until("the end of the update", ended).await;
    let page = history(&app, "sim-01").await;
    assert!(
        matches!(page.entries.as_slice(), [HistoryEntry::Update { id, stage: UpdateStage::Completed, package_name, .. }]
            if *id == update.id && *package_name == update.package_name),
        "{page:?}"
    );
    assert!(history(&app, "sim-02").await.entries.is_empty());
    app.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_in_a_device_s_history_and_what_it_wrote_is_ours() {
    let dir = tempfile::tempdir().unwrap();
    let (app, mut window) = opened(dir.path()).await;
    app.create_device("pump".into()).await.unwrap();
    window
        .until("the device is in the list", |seen| seen.rows.contains_key("pump"))
        .await;
    app.watch_twin("pump".into()).await.unwrap();
    let job = app
        .create_job(NewJob {
            work: JobWork::UpdateTwin {
                tags: None,
                desired: Some(json!({ "level": 3 })),
            },
            target: JobTarget::Query {
                condition: String::new(),
            },
            runner: JobRunner::Here,
            start_at: None,
            max_minutes: 5,
            expected: None,
        })
        .await
        .unwrap();
    let kept = until_kept(&mut window, "pump", "the job's change", |kept| !kept.is_empty()).await;
    assert_eq!(
        (kept[0].author, kept[0].paths[0].path.as_str()),
        (Author::Here, "level")
    );
    let entries = history(&app, "pump").await.entries;
    let jobs: Vec<_> = entries
        .iter()
        .filter_map(|entry| match entry {
            HistoryEntry::Job { job_id, title, .. } => Some((job_id.clone(), title.as_str())),
            _ => None,
        })
        .collect();
    assert_eq!(jobs, [(job.id, "Change desired level")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_of_the_local_hub_are_switched_kept_and_counted_with() {
    let dir = tempfile::tempdir().unwrap();
    let (app, window) = opened(dir.path()).await;
    let estimate = async |app: &App| {
        let target = JobTarget::Query {
            condition: String::new(),
        };
        let preview = app.preview_job(JobWork::Enable, target, JobRunner::Here).await.unwrap();
        preview.estimated_seconds
    };
    assert_eq!(estimate(&app).await, None, "nothing limits it");
    app.set_local_limits(true).await.unwrap();
    assert_eq!(estimate(&app).await, Some(0), "the hub started anew, with limits");
    app.shutdown().await;
    drop((app, window));
    let (app, _window) = opened(dir.path()).await;
    assert!(app.state().await.unwrap().settings.local_limits);
    assert_eq!(estimate(&app).await, Some(0));
}

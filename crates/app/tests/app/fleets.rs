//! Fleets of simulated devices in the application.

use hub_protocol::DeviceId;
use serde_json::{Value, json};
use twindeck_app::{
    App, Code,
    view::{FaultName, FleetWork, NewFleet, SimulatedState, SwitchedFault, TagKind, TagPattern},
};

use crate::{Window, add, form, method, opened};

fn fault(kind: FaultName) -> SwitchedFault {
    SwitchedFault {
        kind,
        devices: 1.0,
        chance: 1.0,
        after: None,
        lasts: None,
        every: None,
        by: None,
        bytes_per_second: None,
        after_bytes: None,
        times: None,
        status: None,
        seconds: None,
    }
}

fn wrong_answer(status: i32) -> SwitchedFault {
    SwitchedFault {
        status: Some(status),
        ..fault(FaultName::WrongAnswer)
    }
}

async fn status(app: &App, device: &str) -> Option<i32> {
    let request = twindeck_app::view::MethodRequest {
        device_id: device.into(),
        ..method("lockDoor", "")
    };
    app.invoke_method(request).await.unwrap().status
}

async fn connected(window: &mut Window, count: u32) {
    let what = format!("{count} connected devices of the fleet");
    window
        .until(&what, |window| window.in_state(SimulatedState::Connected) == count)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_is_made_with_tags_by_pattern_stopped_and_started_and_deleted_with_its_devices() {
    let dir = tempfile::tempdir().unwrap();
    let (app, mut window) = opened(dir.path()).await;
    let tags = vec![TagPattern {
        name: "site".into(),
        kind: TagKind::Cycle,
        text: "north, south".into(),
    }];
    let fleet = add(
        &app,
        NewFleet {
            tags,
            ..form(150, "lock-door")
        },
    )
    .await;
    assert_eq!(window.until_done().await.work, FleetWork::Creating);
    connected(&mut window, 150).await;
    window
        .until("rows that say whose they are", |window| {
            window.rows.len() == 150 && window.rows.values().all(|row| row.fleet == Some(fleet.id))
        })
        .await;
    assert_eq!(
        app.get_twin("sim-001".into()).await.unwrap().tags,
        json!({"site": "north"})
    );
    assert_eq!(
        app.get_twin("sim-002".into()).await.unwrap().tags,
        json!({"site": "south"})
    );

    app.stop_fleet(fleet.id, 1000).await.unwrap();
    let busy = app.delete_fleet(fleet.id).await;
    assert_eq!(busy.unwrap_err().code, Code::AlreadyExists, "one thing at a time");
    window
        .until("all stopped", |window| window.in_state(SimulatedState::Stopped) == 150)
        .await;
    assert_eq!(window.until_done().await.done, 150);
    app.start_fleet(fleet.id, 1000, None).await.unwrap();
    connected(&mut window, 150).await;
    window.until_done().await;

    app.delete_fleet(fleet.id).await.unwrap();
    window
        .until("nothing left", |window| {
            window.fleets.is_empty() && window.rows.is_empty()
        })
        .await;
    app.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_devices_remember_and_which_of_them_ran_survives_the_application() {
    let dir = tempfile::tempdir().unwrap();
    let (app, mut window) = opened(dir.path()).await;
    let model = r#"
        name = "counter"
        title = "Counter"
        about = "Remembers what it was told"
        [methods.remember]
        steps = [{ remember = { told = "{payload}" } }, { answer = { status = 200 } }]
    "#;
    app.save_model(None, model.into()).await.unwrap();
    add(&app, form(3, "counter.toml")).await;
    connected(&mut window, 3).await;
    let told = app.invoke_method(method("remember", r#"{"a": 1}"#)).await.unwrap();
    assert_eq!(told.status, Some(200), "{told:?}");
    app.set_device_faults("sim-02".into(), Some(vec![fault(FaultName::NoAnswer)]))
        .await
        .unwrap();
    app.stop_simulated(vec!["sim-03".into()]).await.unwrap();
    app.shutdown().await;
    drop((app, window));

    let (app, mut window) = opened(dir.path()).await;
    connected(&mut window, 2).await;
    let look = |id: &str| app.simulated_device(id.into()).unwrap();
    assert_eq!(look("sim-01").memory, json!({"told": {"a": 1}}));
    assert!(look("sim-02").own_faults);
    assert_eq!(
        look("sim-03").state,
        SimulatedState::Stopped,
        "it was stopped by a person"
    );
    app.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_are_switched_on_running_devices_of_a_fleet_or_on_one_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let (app, mut window) = opened(dir.path()).await;
    let fleet = add(&app, form(2, "lock-door")).await;
    connected(&mut window, 2).await;
    assert_eq!(status(&app, "sim-01").await, Some(200));
    app.set_fleet_faults(fleet.id, vec![wrong_answer(503)]).await.unwrap();
    assert_eq!(status(&app, "sim-01").await, Some(503));
    app.set_device_faults("sim-01".into(), Some(Vec::new())).await.unwrap();
    assert_eq!(status(&app, "sim-01").await, Some(200));
    assert_eq!(status(&app, "sim-02").await, Some(503));
    let given = app.set_device_faults("sim-01".into(), None).await.unwrap();
    assert_eq!((given.own_faults, given.faults), (false, vec![wrong_answer(503)]));
    assert_eq!(status(&app, "sim-01").await, Some(503));
    let wrong = app.set_fleet_faults(fleet.id, vec![fault(FaultName::Offline)]).await;
    assert!(
        wrong.unwrap_err().message.contains("after"),
        "a fault without its settings is refused"
    );
    app.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_console_is_told_while_it_is_watched_and_goes_on_when_its_device_is_started_anew() {
    let dir = tempfile::tempdir().unwrap();
    let (app, mut window) = opened(dir.path()).await;
    add(&app, form(1, "lock-door")).await;
    connected(&mut window, 1).await;
    let first = app.watch_console("sim-01".into()).unwrap();
    assert!(!first.is_empty(), "what has happened is there at once");
    assert_eq!(status(&app, "sim-01").await, Some(200));
    window
        .until("the call in the console", |window| {
            window.heard.contains("\"type\":\"console\"") && window.heard.contains("lockDoor")
        })
        .await;
    app.stop_simulated(vec!["sim-01".into()]).await.unwrap();
    window.heard.clear();
    app.start_simulated(vec!["sim-01".into()], None).await.unwrap();
    window
        .until("lines of the new run", |window| {
            window.heard.contains("\"type\":\"console\"")
        })
        .await;
    let lines: Vec<Value> = window
        .heard
        .split("\"sequence\":")
        .skip(1)
        .filter_map(|rest| rest.split(',').next()?.parse::<u64>().ok().map(Value::from))
        .collect();
    let last = first.last().unwrap().sequence;
    assert!(
        lines.iter().all(|line| line.as_u64().unwrap() > last),
        "numbers go on: {lines:?} after {last}"
    );
    app.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_goes_out_with_its_models_and_comes_in_elsewhere() {
    let (there, here, files) = (
        tempfile::tempdir().unwrap(),
        tempfile::tempdir().unwrap(),
        tempfile::tempdir().unwrap(),
    );
    let (app, mut window) = opened(there.path()).await;
    let copy = app
        .read_model("lock-door")
        .unwrap()
        .replace("name = \"lock-door\"", "name = \"gate\"");
    app.save_model(None, copy).await.unwrap();
    let fleet = add(&app, form(2, "gate.toml")).await;
    window.until_done().await;
    let file = files.path().join(app.fleet_file_name(fleet.id).unwrap());
    app.export_fleet(fleet.id, &file).await.unwrap();
    assert!(files.path().join("gate.toml").exists());
    let used = app.delete_model("gate.toml".into()).await;
    assert!(used.unwrap_err().message.contains("plant"), "a fleet uses it");
    app.shutdown().await;

    let (app, mut window) = opened(here.path()).await;
    let draft = app.import_fleet(&file).await.unwrap();
    assert_eq!((draft.name.as_str(), draft.problem, draft.taken), ("plant", None, 0));
    app.create_fleet(draft.source.clone(), true, None).await.unwrap();
    connected(&mut window, 2).await;
    let again = app.create_fleet(draft.source, true, None).await;
    assert_eq!(
        again.unwrap_err().code,
        Code::AlreadyExists,
        "its devices are there already"
    );
    app.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_deleted_from_the_list_leave_their_fleet() {
    let dir = tempfile::tempdir().unwrap();
    let (app, mut window) = opened(dir.path()).await;
    let fleet = add(&app, form(3, "reboot")).await;
    connected(&mut window, 3).await;
    let before = app.watch_fleet(fleet.id).unwrap();
    assert_eq!(before.device_ids, ["sim-01", "sim-02", "sim-03"]);
    app.delete_devices(vec!["sim-02".into()]).await.unwrap();
    let after = app.watch_fleet(fleet.id).unwrap();
    assert_eq!(after.device_ids, ["sim-01", "sim-03"]);
    assert!(after.members > before.members, "the window is told to look again");
    assert!(DeviceId::new("sim-02").is_ok_and(|id| app.simulated_device(id.to_string()).is_err()));
    app.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_is_wrong_is_refused_with_its_line_and_never_replaces_a_good_one() {
    let dir = tempfile::tempdir().unwrap();
    let (app, _window) = opened(dir.path()).await;
    let check = app.check_model("name = \"mine\"\nsteps = 5\n");
    assert_eq!(check.problem.unwrap().line, Some(2));
    let good = app
        .read_model("reboot")
        .unwrap()
        .replace("name = \"reboot\"", "name = \"mine\"");
    app.save_model(None, good.clone()).await.unwrap();
    assert!(
        app.save_model(Some("mine.toml".into()), "name = 5".into())
            .await
            .is_err()
    );
    assert_eq!(app.read_model("mine.toml").unwrap(), good);
    let twice = app.save_model(None, good.clone()).await;
    assert_eq!(twice.unwrap_err().code, Code::AlreadyExists);
    let built_in = app.save_model(None, app.read_model("reboot").unwrap()).await;
    assert_eq!(built_in.unwrap_err().code, Code::AlreadyExists);
    let moved = app
        .save_model(Some("mine.toml".into()), good.replace("\"mine\"", "\"yours\""))
        .await
        .unwrap();
    assert_eq!(moved.reference, "yours.toml");
    assert!(app.read_model("mine.toml").is_err());
    app.shutdown().await;
}

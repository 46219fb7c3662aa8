//! Firmware updates of many devices, as the application drives them.

use hub_protocol::DeviceId;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use twindeck_app::{
    firmware::{self, Firmware},
    view::{UpdateStage, UpdateState},
    watch::Source,
};

use crate::support::{
    raw_device::{METHODS, RESPONSES},
    soon,
    update::{Packages, Record, count, queued, update, watch},
    world::World,
};

async fn serve(world: &World) -> Packages {
    Packages::serve(world.dir.path().join("packages")).await
}

#[tokio::test]
async fn twenty_devices_update_and_every_stage_is_journalled_in_order() {
    let world = World::start().await;
    let fleet = world.fleet();
    let packages = serve(&world).await;
    let ids = world.running(&fleet, "sim", 20, "firmware-a").await;
    let record = Record::default();
    let attempts = update(&world, &ids, packages.firmware(), &record, CancellationToken::new()).await;
    let counts = firmware::counts(attempts.values().map(|attempt| attempt.stage));
    assert_eq!(firmware::summary(&counts), "20 of 20 devices updated");
    assert_eq!(firmware::final_state(&counts), UpdateState::Completed);
    assert_eq!(fleet.counters().bytes_downloaded, 20 * packages.imported.size);
    for device in &ids {
        let stages = record.stages_of(device);
        assert_eq!(
            stages.first(),
            Some(&UpdateStage::Dispatching),
            "journalled before the call leaves"
        );
        assert_eq!(stages.last(), Some(&UpdateStage::Completed));
        assert!(stages.is_sorted(), "{device}: {stages:?}");
    }
}

#[tokio::test]
async fn an_update_that_is_followed_by_query_ends_the_same() {
    let world = World::start().await;
    let fleet = world.fleet();
    let packages = serve(&world).await;
    let ids = world.running(&fleet, "sim", 5, "firmware-a").await;
    let pause = std::time::Duration::from_millis(50);
    let watched = watch(&world.client, Source::Query { pause }).await;
    let record = Record::default();
    let running = firmware::run(
        world.client.clone(),
        watched.table.clone(),
        packages.firmware(),
        queued(&ids),
        &record,
        CancellationToken::new(),
    );
    let attempts = soon("the end of the update", Box::pin(running)).await.unwrap();
    assert_eq!(count(&attempts, UpdateStage::Completed), 5);
}

#[tokio::test]
async fn in_a_mixed_set_each_failure_has_its_reason_and_the_others_succeed() {
    let world = World::start().await;
    let fleet = world.fleet();
    let packages = serve(&world).await;
    let mut ids = world.running(&fleet, "good", 3, "firmware-a").await;
    let wrong_model = world.running(&fleet, "door", 1, "lock-door").await.remove(0);
    let offline = world.device("offline").await.device_id;
    let unknown = crate::support::id("nobody");
    ids.extend([wrong_model.clone(), offline.clone(), unknown.clone()]);
    let record = Record::default();
    let attempts = update(&world, &ids, packages.firmware(), &record, CancellationToken::new()).await;
    assert_eq!(
        (
            count(&attempts, UpdateStage::Completed),
            count(&attempts, UpdateStage::Failed)
        ),
        (3, 3)
    );
    let reason = |device: &DeviceId| attempts[device].reason.clone().unwrap();
    assert!(reason(&wrong_model).contains("404"), "{}", reason(&wrong_model));
    assert!(reason(&offline).contains("not connected"), "{}", reason(&offline));
    assert!(reason(&unknown).contains("no such device"), "{}", reason(&unknown));
}

#[tokio::test]
async fn a_missing_or_altered_package_fails_every_device_with_the_reason() {
    let world = World::start().await;
    let fleet = world.fleet();
    let packages = serve(&world).await;
    let ids = world.running(&fleet, "sim", 3, "firmware-a").await;
    let missing = Firmware {
        uri: packages.server.uri(&"0".repeat(64), "fw.bin"),
        sha256: None,
    };
    std::fs::write(packages.dir.join(&packages.imported.sha256), "altered").unwrap();
    for (firmware, reason) in [(missing, "404"), (packages.firmware(), "SHA-256")] {
        let attempts = update(&world, &ids, firmware, &Record::default(), CancellationToken::new()).await;
        assert_eq!(count(&attempts, UpdateStage::Failed), 3);
        for attempt in attempts.values() {
            assert!(attempt.reason.as_ref().unwrap().contains(reason), "{attempt:?}");
        }
    }
}

#[tokio::test]
async fn a_cancelled_update_begins_no_more_devices_and_finishes_those_begun() {
    let world = World::start().await;
    let fleet = world.fleet();
    let packages = serve(&world).await;
    let ids = world.running(&fleet, "sim", 50, "firmware-a").await;
    let (record, mut told) = Record::telling();
    let cancel = CancellationToken::new();
    let running = update(&world, &ids, packages.firmware(), &record, cancel.clone());
    let cancelling = async {
        while let Some((_, stage)) = told.recv().await {
            if stage == UpdateStage::Dispatching {
                cancel.cancel();
                return;
            }
        }
    };
    let (attempts, ()) = tokio::join!(Box::pin(running), cancelling);
    let (completed, cancelled) = (
        count(&attempts, UpdateStage::Completed),
        count(&attempts, UpdateStage::Cancelled),
    );
    assert_eq!(completed + cancelled, 50);
    assert!(
        completed > 0 && cancelled > 0,
        "{completed} completed, {cancelled} cancelled"
    );
    assert_eq!(
        fleet.counters().bytes_downloaded,
        completed as u64 * packages.imported.size
    );
    let counts = firmware::counts(attempts.values().map(|attempt| attempt.stage));
    assert_eq!(firmware::final_state(&counts), UpdateState::Cancelled);
}

#[tokio::test]
async fn the_completed_of_last_month_is_not_believed() {
    let world = World::start().await;
    let packages = serve(&world).await;
    let device = world.device("old").await;
    let mut raw = world.connect(&device).await;
    raw.subscribe(&[METHODS, RESPONSES]).await;
    let completed = json!({ "firmwareStatus": "completed", "firmwarePackage": { "sha256": packages.imported.sha256 } });
    raw.report("old", &completed).await;

    let (record, mut told) = Record::telling();
    let ids = [device.device_id.clone()];
    let running = update(&world, &ids, packages.firmware(), &record, CancellationToken::new());
    let answering = async {
        let (_, request_id, order) = raw.call().await;
        assert_eq!(order["sha256"], packages.imported.sha256);
        raw.answer(&request_id, 200, &json!({})).await;
        let accepted = async { while told.recv().await.unwrap().1 != UpdateStage::Accepted {} };
        soon("the accepted call", accepted).await;
        raw.report("unrelated", &json!({ "temperature": 21 })).await;
        raw.report("begun", &json!({ "firmwareStatus": "applying" })).await;
        let applying = async { told.recv().await.unwrap().1 };
        assert_eq!(
            soon("the next stage", applying).await,
            UpdateStage::Applying,
            "not completed"
        );
        raw.report("done", &completed).await;
    };
    let (attempts, ()) = tokio::join!(Box::pin(running), answering);
    assert_eq!(count(&attempts, UpdateStage::Completed), 1);
}

#[tokio::test]
async fn a_device_deleted_on_the_way_fails_and_does_not_hold_up_the_update() {
    let world = World::start().await;
    let packages = serve(&world).await;
    let device = world.device("doomed").await;
    let mut raw = world.connect(&device).await;
    raw.subscribe(&[METHODS, RESPONSES]).await;
    let record = Record::default();
    let ids = [device.device_id.clone()];
    let running = update(&world, &ids, packages.firmware(), &record, CancellationToken::new());
    let deleting = async {
        let (_, request_id, _) = raw.call().await;
        raw.answer(&request_id, 200, &json!({})).await;
        world
            .client
            .delete_device(&device.device_id, hub_client::IfMatch::Any)
            .await
            .unwrap();
    };
    let (attempts, ()) = tokio::join!(Box::pin(running), deleting);
    assert_eq!(
        attempts[&device.device_id].reason.as_deref(),
        Some("The device was deleted")
    );
}

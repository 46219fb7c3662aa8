//! A hub that is killed in the middle of writing loses nothing it acknowledged, and does nothing
//! twice.

#![allow(clippy::print_stdout, reason = "the figures are worth reading")]

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use hub_client::{HubClient, IfMatch};
use hub_protocol::{
    DeviceConnectionString, DeviceId, ModuleId,
    identity::{DeviceIdentity, ExportImportDevice, ImportMode, ModuleIdentity},
    job::{JobRequest, JobStatus},
    twin::TwinPatch,
};
use rumqttc::{
    QoS,
    mqttbytes::v4::{Packet, PubAck},
};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{
    id,
    messages::{filter, message_id, named},
    object,
    process::ServedHub,
    raw_device::{RESPONSES, RawDevice},
    soon,
    world::create_devices,
};

const ROUNDS: u64 = 50;
const SERVICE_WRITERS: usize = 3;
/// Few enough that each is settled long before it was delivered too often.
const WAITING: u32 = 8;
const BULK: usize = 5;

/// What one writer was told, kept over the hub's deaths.
struct Known<T>(Arc<Mutex<T>>);

impl<T> Clone for Known<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Default> Default for Known<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> Known<T> {
    fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap()
    }
}

/// The highest number that the hub said it has in a twin.
type Acknowledged = Known<u64>;

async fn write_desired(client: HubClient, device: DeviceId, acknowledged: Acknowledged) {
    loop {
        let next = *acknowledged.lock() + 1;
        let patch = TwinPatch::desired(object(json!({ "n": next })));
        if client.update_twin(&device, &patch, IfMatch::None).await.is_err() {
            return;
        }
        *acknowledged.lock() = next;
    }
}

async fn write_reported(mut raw: RawDevice, acknowledged: Acknowledged) {
    loop {
        let next = *acknowledged.lock() + 1;
        if !raw.try_report(&next.to_string(), &json!({ "n": next })).await {
            return;
        }
        *acknowledged.lock() = next;
    }
}

/// A write under way when the hub died may have been kept; nothing else may differ.
async fn check_twin(hub: &ServedHub, device: &DeviceId, is_reported: bool, acknowledged: &Acknowledged) {
    let twin = hub.client.twin(device).await.unwrap();
    let section = if is_reported {
        &twin.properties.reported
    } else {
        &twin.properties.desired
    };
    let kept = section.values.get("n").and_then(Value::as_u64).unwrap_or(0);
    let mut promised = acknowledged.lock();
    assert!(
        kept == *promised || kept == *promised + 1,
        "{device} has {kept}, acknowledged was {promised}"
    );
    assert_eq!(section.version, kept + 1, "one version a write");
    *promised = kept;
}

#[derive(Default)]
struct Messages {
    last: u64,
    sent: BTreeSet<u64>,
    seen: BTreeSet<u64>,
    /// The device sent a PUBACK, which the hub may not have read.
    acknowledged: BTreeSet<u64>,
    /// The hub answered what came after the PUBACK.
    settled: BTreeSet<u64>,
}

async fn send_messages(client: HubClient, device: DeviceId, messages: Known<Messages>) {
    while let Ok(found) = client.device(&device).await {
        if found.cloud_to_device_message_count >= WAITING {
            continue;
        }
        let number = {
            let mut messages = messages.lock();
            messages.last += 1;
            messages.last
        };
        let properties = named(&number.to_string());
        if client.send_message(&device, &properties, b"x".into()).await.is_err() {
            return;
        }
        messages.lock().sent.insert(number);
    }
}

/// Acknowledges most of what is new, and all that comes again.
async fn take_messages(mut raw: RawDevice, messages: Known<Messages>, all: bool) {
    let mut here = BTreeSet::new();
    let mut asked = VecDeque::new();
    loop {
        match raw.receive().await {
            Some(Packet::Publish(publish)) => {
                let number: u64 = message_id(&publish).parse().unwrap();
                {
                    let mut messages = messages.lock();
                    assert!(!messages.settled.contains(&number), "{number} came again");
                    assert!(here.insert(number), "{number} came twice over one connection");
                    messages.seen.insert(number);
                    if !all && !publish.dup && fastrand::u8(0..4) == 0 {
                        continue;
                    }
                    messages.acknowledged.insert(number);
                }
                asked.push_back(number);
                let settle = [Packet::PubAck(PubAck::new(publish.pkid)), Packet::PingReq];
                if !raw.try_send(&settle).await {
                    return;
                }
            }
            Some(Packet::PingResp) => {
                let settled = asked.pop_front().unwrap();
                let mut messages = messages.lock();
                messages.settled.insert(settled);
                if all && messages.sent.is_subset(&messages.seen) && asked.is_empty() {
                    return;
                }
            }
            None => return,
            other => panic!("a message was expected, not {other:?}"),
        }
    }
}

async fn check_messages(hub: &ServedHub, device: &DeviceId, messages: &Known<Messages>) {
    let waiting = hub
        .client
        .device(device)
        .await
        .unwrap()
        .cloud_to_device_message_count
        .into();
    let messages = messages.lock();
    let at_least = messages.sent.difference(&messages.acknowledged).count() as u64;
    let at_most = messages.last - messages.settled.len() as u64;
    assert!(
        (at_least..=at_most).contains(&waiting),
        "{waiting} messages wait, not {at_least} to {at_most}"
    );
}

#[derive(Default)]
struct Jobs {
    last: u64,
    made: BTreeSet<u64>,
    checked: u64,
    done: u64,
}

fn job_id(number: u64) -> String {
    format!("job-{number}")
}

/// One after the other, so that the kills meet them queued, running and completed.
async fn create_jobs(client: HubClient, condition: String, jobs: Known<Jobs>) {
    loop {
        let number = {
            let mut jobs = jobs.lock();
            jobs.last += 1;
            jobs.last
        };
        let patch = TwinPatch::desired(object(json!({ "job": number })));
        let request = JobRequest::update_twin(job_id(number), &condition, patch);
        if client.create_job(&request).await.is_err() {
            return;
        }
        jobs.lock().made.insert(number);
        loop {
            match client.job(&job_id(number)).await {
                Ok(job) if job.status.is_final() => break,
                Ok(_) => {}
                Err(_) => return,
            }
        }
    }
}

async fn check_jobs(hub: &ServedHub, devices: &[DeviceConnectionString], jobs: &Known<Jobs>) {
    let (from, last, made) = {
        let jobs = jobs.lock();
        (jobs.checked + 1, jobs.last, jobs.made.clone())
    };
    for number in from..=last {
        let status = soon("a job to end", async {
            loop {
                let status = hub.client.job(&job_id(number)).await.unwrap().status;
                if status.is_final() || status == JobStatus::Unknown {
                    return status;
                }
            }
        })
        .await;
        if status == JobStatus::Unknown {
            assert!(!made.contains(&number), "job {number} was acknowledged");
            continue;
        }
        assert_eq!(status, JobStatus::Completed);
        jobs.lock().done += 1;
    }
    jobs.lock().checked = last;
    let done = jobs.lock().done;
    for device in devices {
        let twin = hub.client.twin(&device.device_id).await.unwrap();
        assert_eq!(twin.properties.desired.version, done + 1, "each job wrote once");
    }
}

/// Devices, and modules as `device/module`.
#[derive(Default)]
struct Registry {
    last: u64,
    there: BTreeSet<String>,
    gone: BTreeSet<String>,
}

impl Known<Registry> {
    /// Neither there nor gone until the hub has answered.
    fn unsure(&self, names: &[String]) {
        let mut registry = self.lock();
        for name in names {
            registry.there.remove(name);
            registry.gone.remove(name);
        }
    }

    fn created(&self, names: &[String]) {
        self.lock().there.extend(names.iter().cloned());
    }

    fn deleted(&self, names: &[String]) {
        self.lock().gone.extend(names.iter().cloned());
    }
}

async fn bulk(client: &HubClient, names: &[String], mode: ImportMode) -> Option<()> {
    let items: Vec<ExportImportDevice> = names
        .iter()
        .map(|name| ExportImportDevice {
            import_mode: Some(mode),
            ..ExportImportDevice::new(id(name))
        })
        .collect();
    let result = client.bulk(&items).await.ok()?;
    assert!(result.is_successful, "{:?}", result.errors);
    Some(())
}

/// Creates a device with a module, and some more at once; deletes what it made the time before.
async fn write_registry(client: HubClient, registry: Known<Registry>) -> Option<()> {
    let mut before: Option<(String, String, Vec<String>)> = None;
    loop {
        let number = {
            let mut registry = registry.lock();
            registry.last += 1;
            registry.last
        };
        let one = format!("reg-{number}");
        let module = format!("{one}/m");
        let many: Vec<String> = (0..BULK).map(|place| format!("{one}-{place}")).collect();

        client.create_device(&DeviceIdentity::new(id(&one))).await.ok()?;
        registry.created(std::slice::from_ref(&one));
        let identity = ModuleIdentity::new(id(&one), ModuleId::new("m").unwrap());
        client.create_module(&identity).await.ok()?;
        registry.created(std::slice::from_ref(&module));
        bulk(&client, &many, ImportMode::Create).await?;
        registry.created(&many);

        if let Some((one, module, many)) = before.replace((one, module, many)) {
            let pair = [one.clone(), module];
            registry.unsure(&pair);
            client.delete_device(&id(one), IfMatch::Any).await.ok()?;
            registry.deleted(&pair);
            registry.unsure(&many);
            bulk(&client, &many, ImportMode::Delete).await?;
            registry.deleted(&many);
        }
    }
}

async fn check_registry(hub: &ServedHub, registry: &Known<Registry>) {
    let mut found = BTreeSet::new();
    for device in hub.client.devices(1000).await.unwrap() {
        let name = device.device_id.as_str();
        if !name.starts_with("reg-") {
            continue;
        }
        found.insert(name.to_owned());
        for module in hub.client.modules(&device.device_id).await.unwrap() {
            found.insert(format!("{name}/{}", module.module_id));
        }
    }
    assert!(found.len() < 1000, "not all were listed");
    {
        let registry = registry.lock();
        let lost: Vec<_> = registry.there.difference(&found).collect();
        assert!(lost.is_empty(), "created, and lost: {lost:?}");
        let back: Vec<_> = registry.gone.intersection(&found).collect();
        assert!(back.is_empty(), "deleted, and back: {back:?}");
    }
    // Room for the next round; these, too, must stay deleted.
    let devices: Vec<String> = found.iter().filter(|name| !name.contains('/')).cloned().collect();
    for chunk in devices.chunks(100) {
        bulk(&hub.client, chunk, ImportMode::Delete).await.unwrap();
    }
    registry.unsure(&found.iter().cloned().collect::<Vec<_>>());
    registry.deleted(&found.into_iter().collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_kills_lose_nothing_that_was_acknowledged_and_double_nothing() {
    let began = Instant::now();
    let dir = tempfile::tempdir().unwrap();
    let mut random = fastrand::Rng::with_seed(20_261_121);
    let mut hub = ServedHub::start(dir.path()).await;
    let twins = create_devices(&hub.client, "crash", SERVICE_WRITERS + 1).await;
    let reporter = &twins[SERVICE_WRITERS];
    let listener = create_devices(&hub.client, "listener", 1).await.remove(0);
    let of_jobs = create_devices(&hub.client, "job", 2).await;
    let condition = "deviceId = 'job-0001' OR deviceId = 'job-0002'".to_owned();
    let acknowledged: Vec<Acknowledged> = twins.iter().map(|_| Acknowledged::default()).collect();
    let (messages, jobs) = (Known::<Messages>::default(), Known::<Jobs>::default());
    let registry = Known::<Registry>::default();

    for round in 0..ROUNDS {
        let mut writers = JoinSet::new();
        let client = || hub.client.clone();
        let mut raw = RawDevice::dial(hub.mqtt_port(), &hub.tls).await;
        // The subscription is the session's: made once, kept over every death.
        let present = raw.connect(&listener, true).await;
        assert_eq!(present, round > 0, "round {round}");
        if !present {
            raw.subscribe_at(QoS::AtLeastOnce, &[&filter(&listener)]).await;
        }
        writers.spawn(take_messages(raw, messages.clone(), false));
        let mut raw = RawDevice::dial(hub.mqtt_port(), &hub.tls).await;
        raw.connect(reporter, false).await;
        raw.subscribe(&[RESPONSES]).await;
        writers.spawn(write_reported(raw, acknowledged[SERVICE_WRITERS].clone()));
        for (device, acknowledged) in twins.iter().zip(&acknowledged).take(SERVICE_WRITERS) {
            writers.spawn(write_desired(client(), device.device_id.clone(), acknowledged.clone()));
        }
        writers.spawn(send_messages(client(), listener.device_id.clone(), messages.clone()));
        writers.spawn(create_jobs(client(), condition.clone(), jobs.clone()));
        let registry_writer = write_registry(client(), registry.clone());
        writers.spawn(async move {
            registry_writer.await;
        });

        // The one wait for a time here: the moment of the kill is what varies.
        tokio::time::sleep(Duration::from_millis(random.u64(5..60))).await;
        hub.process.kill().await.unwrap();
        while let Some(writer) = writers.join_next().await {
            writer.unwrap();
        }

        hub = ServedHub::start(dir.path()).await;
        for (device, acknowledged) in twins.iter().zip(&acknowledged) {
            check_twin(&hub, &device.device_id, device == reporter, acknowledged).await;
        }
        check_messages(&hub, &listener.device_id, &messages).await;
        check_jobs(&hub, &of_jobs, &jobs).await;
        check_registry(&hub, &registry).await;
    }

    // Whatever still waits comes now, and all that was sent has come.
    let mut raw = RawDevice::dial(hub.mqtt_port(), &hub.tls).await;
    assert!(raw.connect(&listener, true).await);
    hub.client
        .send_message(&listener.device_id, &named("0"), b"x".into())
        .await
        .unwrap();
    messages.lock().sent.insert(0);
    soon("all messages", take_messages(raw, messages.clone(), true)).await;

    let written: u64 = acknowledged.iter().map(|count| *count.lock()).sum();
    let (messages, jobs, registry) = (messages.lock(), jobs.lock(), registry.lock());
    let lost: Vec<_> = messages.sent.difference(&messages.seen).collect();
    assert!(lost.is_empty(), "messages that never came: {lost:?}");
    println!(
        "{ROUNDS} kills in {:?}: {written} twin writes, {} messages ({} settled), {} jobs, {} identities",
        began.elapsed(),
        messages.sent.len(),
        messages.settled.len(),
        jobs.done,
        registry.gone.len()
    );
    let busy = [
        written,
        messages.settled.len() as u64,
        jobs.done,
        registry.gone.len() as u64,
    ];
    assert!(
        busy.iter().all(|count| *count >= ROUNDS),
        "the kills met an idle hub: {busy:?}"
    );
}

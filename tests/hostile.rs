//! Those who mean no good, or know no better: malformed openings, slow clients, half-open sockets.
//! The hub stays up, its memory stays bounded, and other clients are served all the while.

#![allow(clippy::print_stdout, reason = "the figures are worth reading")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use hub_client::IfMatch;
use hub_protocol::{
    Secret, ServiceConnectionString, identity::ConnectionState, method::MethodRequest, twin::TwinPatch,
};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Semaphore,
    task::JoinSet,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::support::{
    id, object,
    process::{self, ServedHub},
    raw_device::{DESIRED, METHODS, RESPONSES, RawDevice},
    rest, soon, unix_now,
    world::create_devices,
};

/// Ten thousand where there is time for them: scripts/test says so.
fn openings() -> usize {
    let given = std::env::var("HOSTILE_OPENINGS")
        .ok()
        .and_then(|text| text.parse().ok());
    given.unwrap_or(600)
}

/// One in so many openings is left open, saying nothing more.
const HALF_OPEN: usize = 20;
const AT_ONCE: usize = 64;

async fn tls(port: u16, config: &Arc<ClientConfig>) -> Option<TlsStream<TcpStream>> {
    let socket = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    let name = ServerName::try_from("localhost").ok()?;
    TlsConnector::from(config.clone()).connect(name, socket).await.ok()
}

/// What follows the handshake, by kind; random bytes where nothing else is said.
fn nonsense(kind: usize, random: &mut fastrand::Rng) -> Vec<u8> {
    let mut noise = |length: usize| (0..length).map(|_| random.u8(..)).collect::<Vec<u8>>();
    match kind {
        // A CONNECT of the longest length MQTT can say, and little of it.
        0 => [&[0x10, 0xff, 0xff, 0xff, 0x7f, 0, 4][..], b"MQTT"].concat(),
        // A length that never ends.
        1 => vec![0x10, 0xff, 0xff, 0xff, 0xff, 0xff],
        // A client id longer than its packet.
        2 => [&[0x10, 14, 0, 4][..], b"MQTT", &[4, 0xc0, 0, 60, 0xff, 0xff, 1, 2]].concat(),
        // Text that is no UTF-8 where text must be.
        3 => [&[0x10, 17, 0, 4][..], b"MQTT", &[4, 0x80, 0, 60, 0, 2, 0xff, 0xfe, 0, 1, 0xff]].concat(),
        // Another packet first.
        4 => vec![0x30, 5, 0, 1, b'a', b'b', b'c'],
        5 => [&[0x10][..], &noise(200)].concat(),
        6 => b"GET /devices HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n".to_vec(),
        7 => b"POST /devices/query?api-version=2021-04-12 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n".to_vec(),
        8 => [b"GET / HTTP/1.1\r\nX: ".to_vec(), vec![b'a'; 100_000]].concat(),
        // Most of a request, and the rest never.
        9 => b"POST /devices HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n[".to_vec(),
        10 => b"GET /$iothub/websocket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n".to_vec(),
        // A WebSocket whose frames are not masked, are too long, or are no frames.
        11 => {
            let upgrade = b"GET /$iothub/websocket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                Sec-WebSocket-Protocol: mqtt\r\n\r\n";
            [&upgrade[..], &[0x82, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], &noise(64)].concat()
        }
        12 => b"AMQP\x00\x01\x00\x00".to_vec(),
        _ => noise(64),
    }
}

/// Opens one connection, wrongly; returns it where it is to stay half-open.
async fn open(number: usize, ports: [u16; 2], config: &Arc<ClientConfig>) -> Option<TlsStream<TcpStream>> {
    let mut random = fastrand::Rng::with_seed(number as u64);
    let port = ports[number % 2];
    if number.is_multiple_of(7) {
        // No TLS at all.
        let mut socket = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
        let _ = socket.write_all(&nonsense(random.usize(0..14), &mut random)).await;
        return None;
    }
    let mut stream = tls(port, config).await?;
    let _ = stream.write_all(&nonsense(random.usize(0..14), &mut random)).await;
    let _ = stream.flush().await;
    if number.is_multiple_of(HALF_OPEN) {
        return Some(stream);
    }
    // Long enough for the hub to have read it; it need not answer.
    let mut answer = [0; 256];
    let _ = tokio::time::timeout(Duration::from_millis(200), stream.read(&mut answer)).await;
    None
}

fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// Reports and reads the answer, again and again, until told to stop.
async fn honest(mut device: RawDevice, stop: Arc<AtomicBool>) -> Vec<Duration> {
    let mut times = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let began = Instant::now();
        let request = times.len().to_string();
        assert_eq!(
            device
                .report(&request, &serde_json::json!({ "n": times.len() }))
                .await
                .0,
            204
        );
        times.push(began.elapsed());
    }
    times
}

async fn measured(device: RawDevice, during: impl Future<Output = ()>) -> Vec<Duration> {
    let stop = Arc::new(AtomicBool::new(false));
    let task = tokio::spawn(honest(device, stop.clone()));
    during.await;
    stop.store(true, Ordering::Relaxed);
    task.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(target_os = "linux"), ignore = "reads memory from /proc")]
async fn malformed_openings_and_silent_sockets_cost_others_nothing_and_the_hub_no_memory() {
    let dir = tempfile::tempdir().unwrap();
    let hub = ServedHub::start(dir.path()).await;
    let ports = [
        hub.mqtt_port(),
        hub.ready["httpsPort"].as_u64().unwrap().try_into().unwrap(),
    ];
    let devices = create_devices(&hub.client, "honest", 2).await;
    let connect = async |index: usize| {
        let mut raw = RawDevice::dial(hub.mqtt_port(), &hub.tls).await;
        raw.connect(&devices[index], true).await;
        raw.subscribe(&[RESPONSES]).await;
        raw
    };
    let alone = measured(connect(0).await, tokio::time::sleep(Duration::from_secs(1))).await;

    let config = hub.tls.clone();
    let count = openings();
    let mut half_open = Vec::new();
    let before = resident_kib(hub.pid());
    let attacked = measured(connect(1).await, async {
        let places = Arc::new(Semaphore::new(AT_ONCE));
        let mut tasks = JoinSet::new();
        for number in 0..count {
            let place = places.clone().acquire_owned().await.unwrap();
            let config = config.clone();
            tasks.spawn(async move {
                let kept = open(number, ports, &config).await;
                drop(place);
                kept
            });
        }
        while let Some(kept) = tasks.join_next().await {
            half_open.extend(kept.unwrap());
        }
    })
    .await;
    let during = resident_kib(hub.pid());
    let held = half_open.len();
    drop(half_open);

    assert_eq!(hub.client.count("").await.unwrap(), 2, "the hub still answers");
    let twin = soon("a twin", hub.client.twin(&id("honest-0002"))).await.unwrap();
    assert_eq!(
        twin.properties.reported.values["n"],
        attacked.len() - 1,
        "nothing of the honest device was lost"
    );
    // What a hundred-odd half-open connections may hold, with the allocator's slack; not what
    // ten thousand would.
    let growth = during.saturating_sub(before);
    assert!(growth < 96 * 1024, "the hub grew by {growth} KiB");
    let (attacked, alone) = (median(attacked), median(alone));
    println!(
        "{count} openings, {held} left half-open: +{growth} KiB; an honest report took {attacked:?} (median, alone {alone:?})"
    );
    assert!(
        attacked < tolerable(alone),
        "{attacked:?} under attack, {alone:?} alone"
    );
}

/// Twice as long; and what a busy machine adds to times this short.
fn tolerable(alone: Duration) -> Duration {
    2 * alone + Duration::from_millis(5)
}

/// Devices that never read what is sent to them.
const DEAF: usize = 4;
/// More than the hub keeps for a device and the system for its socket: some megabytes.
const PATCHES: usize = 1000;

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(target_os = "linux"), ignore = "reads memory from /proc")]
async fn a_device_that_never_reads_is_closed_and_costs_bounded_memory_and_no_other_device_time() {
    let (_dir, hub) = process::serve().await;
    let devices = create_devices(&hub.client, "d", DEAF + 2).await;
    let connect = async |index: usize, filters: &[&str]| {
        let mut raw = RawDevice::dial(hub.mqtt_port(), &hub.tls).await;
        raw.connect(&devices[index], true).await;
        raw.subscribe(filters).await;
        raw
    };
    let alone = measured(
        connect(DEAF, &[RESPONSES]).await,
        tokio::time::sleep(Duration::from_secs(1)),
    )
    .await;
    let mut deaf = Vec::new();
    for index in 0..DEAF {
        deaf.push(connect(index, &[METHODS, DESIRED]).await);
    }
    let before = resident_kib(hub.pid());
    let began = Instant::now();
    let taken = std::sync::Mutex::new(Vec::new());
    let attacked = measured(connect(DEAF + 1, &[RESPONSES]).await, async {
        let send = async |index: usize| {
            let device = &devices[index].device_id;
            // A method it does not answer fails as one to any silent device.
            let method = MethodRequest {
                response_timeout_in_seconds: 5,
                ..MethodRequest::new("doIt", serde_json::json!(null))
            };
            let error = hub.client.invoke_method(device, &method).await.unwrap_err();
            assert_eq!(error.status(), Some(504), "{error}");
            for sent in 1..=PATCHES {
                let patch = serde_json::json!({ "n": sent, "ballast": vec!["x".repeat(4000); 7] });
                let patch = TwinPatch::desired(object(patch));
                hub.client.update_twin(device, &patch, IfMatch::None).await.unwrap();
                if sent % 16 == 0 {
                    let state = hub.client.device(device).await.unwrap().connection_state;
                    if state == ConnectionState::Disconnected {
                        taken.lock().unwrap().push(sent);
                        return;
                    }
                }
            }
            panic!("{device} took {PATCHES} patches without reading one");
        };
        futures_util::future::join_all((0..DEAF).map(send)).await;
    })
    .await;
    let growth = resident_kib(hub.pid()).saturating_sub(before);
    let (attacked, alone) = (median(attacked), median(alone));
    println!(
        "{DEAF} deaf devices, closed after {:?} patches in {:?}: +{growth} KiB; an honest report took {attacked:?} (median, alone {alone:?})",
        taken.lock().unwrap(),
        began.elapsed()
    );
    assert!(growth < 96 * 1024, "the hub grew by {growth} KiB");
    drop(deaf);
}

/// Half of them take a long answer byte by byte, half give their request so.
const SLUGGISH: usize = 40;

async fn sluggish(number: usize, port: u16, config: Arc<ClientConfig>, token: Secret) -> Option<()> {
    let mut stream = tls(port, &config).await?;
    let request = format!(
        "GET /devices?top=1000&api-version=2021-04-12 HTTP/1.1\r\nHost: localhost\r\nAuthorization: {}\r\n\r\n",
        token.expose()
    );
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    if number.is_multiple_of(2) {
        stream.write_all(request.as_bytes()).await.ok()?;
        stream.flush().await.ok()?;
        loop {
            tick.tick().await;
            stream.read_u8().await.ok()?;
        }
    }
    for byte in request.into_bytes() {
        tick.tick().await;
        stream.write_u8(byte).await.ok()?;
        stream.flush().await.ok()?;
    }
    None
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(target_os = "linux"), ignore = "reads memory from /proc")]
async fn clients_that_read_or_write_a_byte_a_second_hold_nobody_up() {
    let (_dir, hub) = process::serve().await;
    let devices = create_devices(&hub.client, "d", 300).await;
    let connect = async |index: usize| {
        let mut raw = RawDevice::dial(hub.mqtt_port(), &hub.tls).await;
        raw.connect(&devices[index], true).await;
        raw.subscribe(&[RESPONSES]).await;
        raw
    };
    let second = || tokio::time::sleep(Duration::from_secs(1));
    let alone = measured(connect(0).await, second()).await;
    let before = resident_kib(hub.pid());
    let connection = ServiceConnectionString::parse(hub.connection_string()).unwrap();
    let port = hub.ready["httpsPort"].as_u64().unwrap().try_into().unwrap();
    let mut clients = JoinSet::new();
    for number in 0..SLUGGISH {
        let token = rest::token(&connection, unix_now() + 600);
        clients.spawn(sluggish(number, port, hub.tls.clone(), token));
    }
    let attacked = measured(connect(1).await, async {
        for _ in 0..3 {
            second().await;
            assert_eq!(soon("a count", hub.client.count("")).await.unwrap(), 300);
        }
    })
    .await;
    let growth = resident_kib(hub.pid()).saturating_sub(before);
    let (attacked, alone) = (median(attacked), median(alone));
    println!(
        "{SLUGGISH} sluggish clients: +{growth} KiB; an honest report took {attacked:?} (median, alone {alone:?})"
    );
    assert!(clients.try_join_next().is_none(), "slow is not wrong");
    assert!(growth < 96 * 1024, "the hub grew by {growth} KiB");
    assert!(attacked < tolerable(alone), "{attacked:?} beside them, {alone:?} alone");
}

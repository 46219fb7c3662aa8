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

use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Semaphore,
    task::JoinSet,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::support::{
    id,
    process::ServedHub,
    raw_device::{RESPONSES, RawDevice},
    soon,
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
    println!(
        "{count} openings, {held} left half-open: +{growth} KiB; an honest report took {:?} (median, alone {:?})",
        median(attacked),
        median(alone)
    );
}

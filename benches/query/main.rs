//! Queries over a large hub, beside the plain evaluator over the same rows in memory.
//!
//! `cargo bench -p twindeck-tests --bench query [-- devices]`: fills a hub's database, starts the
//! hub on it and asks over HTTPS, as a service would. Prints a table for docs/benchmarks.md.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a load program prints its findings and ends at the first fault"
)]

use std::{
    path::Path,
    time::{Duration, Instant},
};

use hub_protocol::{connection_string::Credential, query, sas};
use local_hub::{LocalHub, LocalHubConfig};
use reqwest::header::HeaderMap;
use rusqlite::Connection;
use rustls::ClientConfig;
use serde_json::{Value, json};

const QUERIES: [(&str, &str); 8] = [
    (
        "equal, first page",
        "SELECT * FROM devices WHERE tags.site = 's42' AND properties.reported.firmware.version != '2.0'",
    ),
    (
        "equal, few match",
        "SELECT deviceId FROM devices WHERE tags.serial = 'n77777'",
    ),
    (
        "nothing matches",
        "SELECT deviceId FROM devices WHERE tags.site = 'nowhere'",
    ),
    (
        "in a list",
        "SELECT deviceId FROM devices WHERE tags.site IN ['s7', 's77', 's777']",
    ),
    (
        "prefix",
        "SELECT deviceId FROM devices WHERE STARTSWITH(tags.serial, 'n9999')",
    ),
    (
        "group by a tag",
        "SELECT tags.site AS site, COUNT() AS n FROM devices GROUP BY tags.site",
    ),
    (
        "group by a reported property",
        "SELECT properties.reported.firmware.version AS v, AVG(properties.reported.temperature) AS t FROM devices GROUP BY properties.reported.firmware.version",
    ),
    (
        "count, a range",
        "SELECT COUNT() AS n FROM devices WHERE properties.reported.temperature > 60",
    ),
];
/// Timed runs of each; the median and the slowest are shown.
const RUNS: usize = 15;

#[tokio::main]
async fn main() {
    let devices = std::env::args()
        .skip(1)
        .find_map(|text| text.parse().ok())
        .unwrap_or(100_000);
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("hub");
    LocalHub::start(LocalHubConfig::on_free_ports(&data))
        .await
        .unwrap()
        .shutdown()
        .await;
    fill(&data.join("hub.db"), devices);
    let hub = LocalHub::start(LocalHubConfig::on_free_ports(&data)).await.unwrap();
    let service = Service::new(&hub);
    let rows = service.all().await;
    assert_eq!(rows.len(), devices);
    let size = std::fs::metadata(data.join("hub.db")).unwrap().len() >> 20;
    println!("{devices} devices, database {size} MiB\n");
    println!("| query | first ask | next write | median | slowest | evaluator in memory | better by |");
    println!("|---|---|---|---|---|---|---|");
    for (name, text) in QUERIES {
        let (first, (answer, next)) = timed(|| service.ask(text, None)).await;
        // What the hub learned from the first ask is in place when its next write is done.
        let (learned, ()) = timed(|| service.settle()).await;
        let mut times = Vec::new();
        for _ in 0..RUNS {
            times.push(timed(|| service.ask(text, None)).await.0);
        }
        times.sort();
        let parsed = query::parse(text).unwrap();
        let mut plain = Vec::new();
        let mut expected = Vec::new();
        for _ in 0..3 {
            let begun = Instant::now();
            expected = parsed.select(&rows);
            plain.push(begun.elapsed());
        }
        plain.sort();
        let all = if next.is_some() {
            expected.len() > answer.len()
        } else {
            expected.len() == answer.len()
        };
        assert!(all, "{name}: {} rows, {} expected", answer.len(), expected.len());
        let (median, slowest) = (times[RUNS / 2], times[RUNS - 1]);
        println!(
            "| {name} | {} | {} | {} | {} | {} | {:.1}× |",
            shown(first),
            shown(learned),
            shown(median),
            shown(slowest),
            shown(plain[1]),
            plain[1].as_secs_f64() / median.as_secs_f64()
        );
    }
    hub.shutdown().await;
}

fn shown(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

async fn timed<T, F: Future<Output = T>>(work: impl FnOnce() -> F) -> (Duration, T) {
    let begun = Instant::now();
    let done = work().await;
    (begun.elapsed(), done)
}

/// Twins of some 1.3 KB each, as a fleet with firmware and telemetry has them.
fn fill(path: &Path, devices: usize) {
    let database = Connection::open(path).unwrap();
    let sql = "WITH RECURSIVE n(i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?1)
        INSERT INTO identities (device_id, generation_id, etag, status_updated, authentication, connection_updated,
            last_activity, tags, desired, reported, desired_metadata, reported_metadata)
        SELECT printf('device-%06d', i), printf('%d', i), i, ?2, ?3, ?2, ?2,
            json_object('site', 's' || (i % 997), 'hall', char(65 + i % 7), 'serial', 'n' || i, 'owner', json_object('team', 'team ' || (i % 31))),
            json_object('interval', 30 + i % 5, 'thresholds', json_object('low', 10, 'high', 80)),
            json_object('temperature', 20 + i * 7919 % 600 / 10.0, 'firmware', json_object('version', CASE WHEN i % 3 THEN '2.0' ELSE '1.' || (i % 10) END, 'status', 'idle'),
                'network', json_object('ip', '10.0.' || (i / 256 % 256) || '.' || (i % 256), 'rssi', -40 - i % 50)),
            ?4, ?4 FROM n";
    let never = "0001-01-01T00:00:00Z";
    let keys = json!({ "symmetricKey": { "primaryKey": "A".repeat(44), "secondaryKey": "B".repeat(44) },
        "x509Thumbprint": { "primaryThumbprint": null, "secondaryThumbprint": null }, "type": "sas" });
    let stamp = json!({ "$lastUpdated": "2026-01-01T00:00:00.1234567Z", "$lastUpdatedVersion": 4 });
    let mut metadata = stamp.clone();
    for name in ["temperature", "firmware", "network", "interval"] {
        metadata[name] = stamp.clone();
    }
    let values = rusqlite::params![devices, never, keys.to_string(), metadata.to_string()];
    database.execute(sql, values).unwrap();
}

/// One connection to the hub's REST side.
struct Service {
    http: reqwest::Client,
    url: String,
    token: String,
}

impl Service {
    fn new(hub: &LocalHub) -> Self {
        let owner = hub.service_connection_string();
        let tls: ClientConfig = twindeck_app::trust::only(&hub.addresses().ca_file).unwrap();
        let Credential::Key(key) = &owner.credential else {
            panic!("a hub's own connection string has a key");
        };
        let expiry = time::OffsetDateTime::now_utc().unix_timestamp() + 3600;
        let token = sas::sign(owner.host(), key, u64::try_from(expiry).unwrap(), Some(&owner.policy));
        Self {
            http: reqwest::Client::builder()
                .tls_backend_preconfigured(tls)
                .no_proxy()
                .build()
                .unwrap(),
            url: format!("https://{}/devices/query?api-version=2021-04-12", owner.host_name),
            token: token.expose().to_owned(),
        }
    }

    async fn ask(&self, text: &str, continuation: Option<&str>) -> (Vec<Value>, Option<String>) {
        let mut request = self
            .http
            .post(&self.url)
            .header("Authorization", &self.token)
            .json(&json!({ "query": text }));
        if let Some(token) = continuation {
            request = request.header("x-ms-continuation", token);
        }
        let answer = request.send().await.unwrap().error_for_status().unwrap();
        let next = |headers: &HeaderMap| headers.get("x-ms-continuation")?.to_str().ok().map(str::to_owned);
        let next = next(answer.headers());
        (answer.json().await.unwrap(), next)
    }

    async fn all(&self) -> Vec<Value> {
        let (mut rows, mut next) = self.ask("SELECT * FROM devices", None).await;
        while let Some(token) = next {
            let (page, after) = self.ask("SELECT * FROM devices", Some(&token)).await;
            rows.extend(page);
            next = after;
        }
        rows
    }

    /// A write is answered after everything that was queued before it.
    async fn settle(&self) {
        let url = self.url.replace("/devices/query", "/twins/device-000000");
        let patch = json!({ "tags": { "settled": true } });
        let answer = self
            .http
            .patch(url)
            .header("Authorization", &self.token)
            .json(&patch)
            .send()
            .await
            .unwrap();
        answer.error_for_status().unwrap();
    }
}

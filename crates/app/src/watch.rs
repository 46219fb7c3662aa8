//! Keeping the device table true: by the local hub's own events, or by asking a hub again and
//! again.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use hub_client::{ClientError, HubClient};
use hub_protocol::Timestamp;
use local_hub::HubEvent;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio_util::sync::CancellationToken;

use crate::{now, table::DeviceTable};

/// How changes on a hub are learnt.
pub enum Source {
    Events(broadcast::Receiver<HubEvent>),
    /// A reading of all twins, then this pause. A hub in Azure answers 20 queries a minute and
    /// unit, and a page has at most 100 devices: the pause grows with the number of pages.
    Query {
        pause: Duration,
    },
}

/// Keeps `table` true until `stop`. `told` hears how each whole reading went.
pub async fn run(
    client: HubClient,
    table: Arc<DeviceTable>,
    mut source: Source,
    stop: CancellationToken,
    told: impl Fn(Result<(), ClientError>) + Send,
) {
    let mut failures = 0_u32;
    while !stop.is_cancelled() {
        let reading = tokio::select! {
            () = stop.cancelled() => return,
            reading = read_all(&client, &table) => reading,
        };
        let pages = table.counts().0.div_ceil(100).max(1);
        failures = if reading.is_ok() { 0 } else { failures.saturating_add(1) };
        let read = reading.is_ok();
        told(reading);
        let pause = match &mut source {
            Source::Events(events) if read => {
                tokio::select! {
                    () = stop.cancelled() => return,
                    // Returns when it fell behind: everything is read afresh.
                    () = follow(events, &table) => continue,
                }
            }
            Source::Events(_) => Duration::from_secs(1),
            Source::Query { pause } => {
                let polite = if *pause >= REMOTE_PAUSE {
                    Duration::from_millis(3500) * u32::try_from(pages).unwrap_or(u32::MAX)
                } else {
                    *pause
                };
                polite.max(*pause)
            }
        };
        let pause = pause * 2_u32.pow(failures.min(4));
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// The pause for a hub that is not on this machine.
pub const REMOTE_PAUSE: Duration = Duration::from_secs(5);

async fn read_all(client: &HubClient, table: &DeviceTable) -> Result<(), ClientError> {
    let mut seen = BTreeSet::new();
    let mut query = client.query("SELECT * FROM devices");
    while let Some(page) = query.next_page().await? {
        for twin in page {
            seen.insert(twin.device_id.clone());
            table.put(twin.into(), None, now());
        }
    }
    table.retain(&seen);
    table.set_fresh(now());
    Ok(())
}

async fn follow(events: &mut broadcast::Receiver<HubEvent>, table: &DeviceTable) {
    loop {
        match events.recv().await {
            Ok(event) => apply(table, event, now()),
            Err(RecvError::Lagged(missed)) => {
                tracing::info!("{missed} events of the local hub were missed; reading afresh");
                return;
            }
            // The hub is gone; whoever stopped it also stops this.
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

/// The table holds devices; what happens to their modules is not its business.
fn apply(table: &DeviceTable, event: HubEvent, now: Timestamp) {
    match event {
        HubEvent::IdentityChanged { twin, .. } | HubEvent::StandingsChanged { twin } if twin.module_id.is_none() => {
            table.put(twin, None, now);
        }
        HubEvent::TwinChanged {
            section, patch, twin, ..
        } if twin.module_id.is_none() => {
            table.put(twin, Some((section, patch)), now);
        }
        HubEvent::IdentityDeleted { id } if !id.is_module() => table.remove(&id.device_id),
        HubEvent::ConnectionChanged { id, connected, at } if !id.is_module() => {
            table.set_connected(&id.device_id, connected, at);
        }
        _ => return,
    }
    table.set_fresh(now);
}

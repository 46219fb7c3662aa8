//! The resident memory of connections that have subscribed and do nothing.

use std::{sync::Arc, time::Duration};

use tokio::{task::JoinSet, time::sleep};

use crate::{
    Arguments, Result, Round,
    mqtt::Link,
    server::{Server, device_id},
};

/// Connections that are opened at once.
const AT_ONCE: usize = 64;
/// Until the server has done what it does after a connection opened.
const SETTLE: Duration = Duration::from_secs(2);

pub(crate) async fn round(server: Server, arguments: &Arguments) -> Result<Round> {
    let server = Arc::new(server);
    let (before, cpu) = (server.resident()?, server.cpu_time()?);
    let mut tasks = JoinSet::new();
    for first in 0..AT_ONCE {
        let (server, count) = (server.clone(), arguments.idle);
        tasks.spawn(async move {
            let mut links = Vec::new();
            for index in (first..count).step_by(AT_ONCE) {
                links.push(Link::open(&server, &device_id(index), Some("$iothub/methods/POST/#")).await?);
            }
            Result::Ok(links)
        });
    }
    let mut links = Vec::with_capacity(arguments.idle);
    while let Some(opened) = tasks.join_next().await {
        links.append(&mut opened??);
    }
    sleep(SETTLE).await;
    #[expect(clippy::cast_precision_loss, reason = "KiB and counts are far below 2^52")]
    let (grown, count) = (server.resident()?.saturating_sub(before) as f64, links.len() as f64);
    let server_cpu = (server.cpu_time()? - cpu).as_secs_f64() * 1e6 / count;
    drop(links);
    let server = Arc::into_inner(server).ok_or("a connection is still being opened")?;
    server.stop().await?;
    Ok(Round {
        value: grown / count,
        server_cpu,
    })
}

//! QoS 1 telemetry: each device keeps so many messages unacknowledged. Nobody reads them.

use std::time::Duration;

use bytes::Bytes;
use hub_protocol::topic;
use rumqttc::mqttbytes::{
    QoS,
    v4::{Packet, Publish},
};
use tokio::task::JoinSet;

use crate::{
    Arguments, Result, Round, Tally, clock,
    mqtt::Link,
    server::{Server, device_id},
};

pub(crate) async fn round(server: &Server, arguments: &Arguments, in_flight: usize) -> Result<Round> {
    let tally = Tally::default();
    let mut tasks = JoinSet::new();
    let mut links = Vec::with_capacity(arguments.connections);
    for index in 0..arguments.connections {
        links.push(Link::open(server, &device_id(index), None).await?);
    }
    let body = Bytes::from(vec![b'7'; arguments.body]);
    for (index, link) in links.into_iter().enumerate() {
        let topic = topic::telemetry(&device_id(index), "%24.ct=application%2Fjson&%24.ce=utf-8");
        let message = Publish::from_bytes(topic, QoS::AtLeastOnce, body.clone());
        tasks.spawn(send(link, message, in_flight, tally.clone()));
    }
    clock(server, &tally, tasks, Duration::from_secs(arguments.seconds)).await
}

/// Sends until the round is over and all is acknowledged, in the order it was sent.
async fn send(mut link: Link, mut message: Publish, in_flight: usize, tally: Tally) -> Result<()> {
    let after = |id: u16| id.checked_add(1).unwrap_or(1);
    let (mut next, mut owed, mut outstanding) = (1, 1, 0);
    loop {
        while outstanding < in_flight && !tally.is_over() {
            message.pkid = next;
            link.queue_publish(&message)?;
            next = after(next);
            outstanding += 1;
        }
        if outstanding == 0 {
            return Ok(());
        }
        link.flush().await?;
        link.fill().await?;
        let mut acknowledged = 0;
        while let Some(packet) = link.received()? {
            match packet {
                Packet::PubAck(answer) if answer.pkid == owed => {}
                other => return Err(format!("expected an acknowledgement of {owed}, got {other:?}").into()),
            }
            owed = after(owed);
            outstanding -= 1;
            acknowledged += 1;
        }
        tally.add(acknowledged);
    }
}

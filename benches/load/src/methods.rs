//! Round trips to devices that answer with what they were sent. On the hub, direct methods:
//! HTTPS to MQTT and back, one kept-alive connection for each that is outstanding. On mosquitto
//! the least that could do the same: a QoS 0 request and a QoS 0 reply.

use std::time::Duration;

use bytes::Bytes;
use hub_protocol::topic::{self, ToDevice};
use rumqttc::mqttbytes::{
    QoS,
    v4::{Packet, Publish},
};
use serde_json::json;
use tokio::task::JoinSet;

use crate::{
    Arguments, Result, Round, Tally, clock,
    http::Https,
    mqtt::Link,
    server::{Kind, Server, device_id},
};

const PAYLOAD: &str = r#"{"delay":5,"mode":"warm"}"#;

pub(crate) async fn round(server: &Server, arguments: &Arguments) -> Result<Round> {
    let tally = Tally::default();
    // Ended with the round, when nothing is outstanding.
    let mut devices = JoinSet::new();
    for index in 0..arguments.outstanding {
        let id = device_id(index);
        match server.kind {
            Kind::Hub => {
                let link = Link::open(server, &id, Some("$iothub/methods/POST/#")).await?;
                devices.spawn(respond(link, |topic| match ToDevice::parse(topic) {
                    Some(ToDevice::MethodRequest { request_id, .. }) => Some(topic::method_response(200, request_id)),
                    _ => None,
                }));
            }
            Kind::Mosquitto => {
                let link = Link::open(server, &id, Some(&format!("request/{id}/#"))).await?;
                devices.spawn(respond(link, |topic| {
                    let (_, asked_by) = topic.strip_prefix("request/")?.split_once('/')?;
                    Some(format!("reply/{asked_by}"))
                }));
            }
        }
    }
    let mut callers = JoinSet::new();
    match server.kind {
        Kind::Hub => {
            for index in 0..arguments.outstanding {
                let service = Https::open(server).await?;
                callers.spawn(invoke(service, device_id(index), tally.clone()));
            }
        }
        Kind::Mosquitto => {
            for caller in 0..arguments.callers {
                let own = (caller..arguments.outstanding).step_by(arguments.callers);
                let ids: Vec<usize> = own.collect();
                let link = Link::open(server, &format!("caller-{caller}"), Some(&format!("reply/c{caller}/+"))).await?;
                callers.spawn(request(link, caller, ids, tally.clone()));
            }
        }
    }
    let round = clock(server, &tally, callers, Duration::from_secs(arguments.seconds)).await;
    match devices.try_join_next() {
        Some(ended) => Err(ended?.err().unwrap_or_else(|| "a device ended early".into())),
        None => round,
    }
}

/// A device: answers every request with its payload, for as long as it is asked.
async fn respond(mut link: Link, reply_to: fn(&str) -> Option<String>) -> Result<()> {
    loop {
        link.fill().await?;
        while let Some(packet) = link.received()? {
            let Packet::Publish(request) = packet else {
                return Err(format!("a device was sent {packet:?}").into());
            };
            let topic = reply_to(&request.topic).ok_or_else(|| format!("a request came on {}", request.topic))?;
            link.queue_publish(&Publish::from_bytes(topic, QoS::AtMostOnce, request.payload))?;
        }
        link.flush().await?;
    }
}

async fn invoke(mut service: Https, id: String, tally: Tally) -> Result<()> {
    let payload: serde_json::Value = serde_json::from_str(PAYLOAD)?;
    let body = json!({ "methodName": "echo", "responseTimeoutInSeconds": 30, "payload": payload });
    let request = service.request("POST", &format!("/twins/{id}/methods"), &body);
    let expected = json!({ "status": 200, "payload": payload }).to_string();
    while !tally.is_over() {
        let (status, answer) = service.call(&request).await?;
        if status != 200 || answer != expected {
            return Err(format!("{id} answered {status} {}", String::from_utf8_lossy(&answer)).into());
        }
        tally.add(1);
    }
    Ok(())
}

/// One connection that keeps a request outstanding to each of its devices.
async fn request(mut link: Link, caller: usize, devices: Vec<usize>, tally: Tally) -> Result<()> {
    let body = Bytes::from_static(PAYLOAD.as_bytes());
    let ask = |device: usize| {
        let topic = format!("request/{}/c{caller}/{device}", device_id(device));
        Publish::from_bytes(topic, QoS::AtMostOnce, body.clone())
    };
    let mut outstanding = devices.len();
    for device in devices {
        link.queue_publish(&ask(device))?;
    }
    while outstanding > 0 {
        link.flush().await?;
        link.fill().await?;
        while let Some(packet) = link.received()? {
            let Packet::Publish(reply) = packet else {
                return Err(format!("a caller was sent {packet:?}").into());
            };
            let device = reply.topic.rsplit('/').next().unwrap_or_default().parse()?;
            if reply.payload != body {
                return Err("a reply is not what was asked".into());
            }
            tally.add(1);
            if tally.is_over() {
                outstanding -= 1;
            } else {
                link.queue_publish(&ask(device))?;
            }
        }
    }
    Ok(())
}

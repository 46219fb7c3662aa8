//! Messages to devices, and what became of them.

use std::time::Duration;

use hub_client::HubClient;
use hub_protocol::{
    DeviceConnectionString, Timestamp,
    message::{Properties, SystemProperty},
    topic::ToDevice,
};
use reqwest::Method;
use rumqttc::{QoS, mqttbytes::v4::Publish};
use time::OffsetDateTime;

use super::{raw_device::RawDevice, rest::Answer, soon, world::World};

pub(crate) fn filter(device: &DeviceConnectionString) -> String {
    format!("devices/{}/messages/devicebound/#", device.device_id)
}

/// Asks for all feedback.
pub(crate) fn named(message_id: &str) -> Properties {
    let mut properties = Properties::default();
    properties.system.insert(SystemProperty::MessageId, message_id.into());
    properties.system.insert(SystemProperty::Ack, "full".into());
    properties
}

pub(crate) fn expiring(message_id: &str, from_now: Duration) -> Properties {
    let mut properties = named(message_id);
    let expires = Timestamp(OffsetDateTime::now_utc() + from_now).to_string();
    properties.system.insert(SystemProperty::AbsoluteExpiryTime, expires);
    properties
}

fn properties(publish: &Publish) -> Properties {
    match ToDevice::parse(&publish.topic) {
        Some(ToDevice::CloudToDevice { bag }) => Properties::from_bag(bag),
        other => panic!("a message was expected, not {other:?}"),
    }
}

pub(crate) fn message_id(publish: &Publish) -> String {
    properties(publish).get(SystemProperty::MessageId).unwrap().to_owned()
}

pub(crate) async fn send(client: &HubClient, device: &DeviceConnectionString, message_id: &str) {
    let properties = named(message_id);
    let sent = client.send_message(&device.device_id, &properties, b"x".into());
    sent.await.unwrap();
}

impl World {
    pub(crate) async fn send(&self, device: &DeviceConnectionString, message_id: &str) {
        send(&self.client, device, message_id).await;
    }

    pub(crate) async fn listening(&self, device: &DeviceConnectionString) -> RawDevice {
        let mut raw = self.connect(device).await;
        raw.subscribe_at(QoS::AtLeastOnce, &[&filter(device)]).await;
        raw
    }

    pub(crate) async fn feedback(&self) -> Answer {
        self.call(Method::GET, "/messages/serviceBound/feedback", &[], String::new())
            .await
    }

    /// Reads feedback until something is there: what became of which message.
    pub(crate) async fn outcomes(&self, count: usize) -> Vec<(String, String)> {
        let mut seen = Vec::new();
        soon("feedback", async {
            while seen.len() < count {
                let answer = self.feedback().await;
                for record in answer.body.as_array().into_iter().flatten() {
                    let text = |name: &str| record[name].as_str().unwrap().to_owned();
                    seen.push((text("originalMessageId"), text("statusCode")));
                }
                tokio::task::yield_now().await;
            }
        })
        .await;
        seen
    }

    /// Messages that wait for the device.
    pub(crate) async fn waiting(&self, device: &DeviceConnectionString) -> u64 {
        let device = self.client.device(&device.device_id).await.unwrap();
        device.cloud_to_device_message_count.into()
    }
}

pub(crate) fn outcome(message_id: &str, status: &str) -> (String, String) {
    (message_id.into(), status.into())
}

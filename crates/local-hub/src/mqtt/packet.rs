//! What a device's packet means. Packets in, commands out; no socket, no state.

use bytes::Bytes;
use hub_protocol::{
    topic::{Filter, FromDevice},
    twin::Twin,
};
use rumqttc::{
    QoS,
    mqttbytes::v4::{Packet, Publish},
};
use serde_json::{Value, json};

/// What the hub is to do. `acknowledge` is the packet id of a QoS 1 PUBLISH.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command<'a> {
    Telemetry {
        bag: &'a str,
        body: &'a Bytes,
        acknowledge: Option<u16>,
    },
    MethodResponse {
        request_id: &'a str,
        status: i32,
        body: &'a Bytes,
        acknowledge: Option<u16>,
    },
    TwinGet {
        request_id: &'a str,
        acknowledge: Option<u16>,
    },
    ReportedPatch {
        request_id: Option<&'a str>,
        body: &'a Bytes,
        acknowledge: Option<u16>,
    },
    Subscribe {
        packet_id: u16,
        filters: Vec<Filter>,
    },
    Unsubscribe {
        packet_id: u16,
        filters: Vec<Filter>,
    },
    Ping,
    /// A PUBACK; everything the hub sends is QoS 0, so there is nothing to settle.
    Acknowledged,
    Disconnect,
}

/// What closes the connection, as the cloud does.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Violation {
    #[error("the first packet was not CONNECT")]
    NotConnect,
    #[error("a second CONNECT on one connection")]
    SecondConnect,
    #[error("QoS 2 is not supported")]
    QosTwo,
    #[error("a message over 256 KiB")]
    TooLarge,
    #[error("a topic or filter that is not this device's: {0}")]
    ForeignTopic(String),
    #[error("a packet that only a server sends")]
    ServerPacket,
}

pub(super) fn interpret<'a>(packet: &'a Packet, device_id: &str, max_payload: usize) -> Result<Command<'a>, Violation> {
    match packet {
        Packet::Publish(publish) => interpret_publish(publish, device_id, max_payload),
        Packet::Subscribe(subscribe) => {
            let filters = subscribe.filters.iter().map(|filter| {
                Filter::parse(&filter.path, device_id).ok_or_else(|| Violation::ForeignTopic(filter.path.clone()))
            });
            Ok(Command::Subscribe {
                packet_id: subscribe.pkid,
                filters: filters.collect::<Result<_, _>>()?,
            })
        }
        Packet::Unsubscribe(unsubscribe) => {
            // An unknown filter is acknowledged like a known one.
            let filters = unsubscribe
                .topics
                .iter()
                .filter_map(|topic| Filter::parse(topic, device_id))
                .collect();
            Ok(Command::Unsubscribe {
                packet_id: unsubscribe.pkid,
                filters,
            })
        }
        Packet::PingReq => Ok(Command::Ping),
        Packet::PubAck(_) => Ok(Command::Acknowledged),
        Packet::Disconnect => Ok(Command::Disconnect),
        Packet::Connect(_) => Err(Violation::SecondConnect),
        Packet::PubRec(_) | Packet::PubRel(_) | Packet::PubComp(_) => Err(Violation::QosTwo),
        Packet::ConnAck(_) | Packet::SubAck(_) | Packet::UnsubAck(_) | Packet::PingResp => Err(Violation::ServerPacket),
    }
}

fn interpret_publish<'a>(publish: &'a Publish, device_id: &str, max_payload: usize) -> Result<Command<'a>, Violation> {
    let acknowledge = match publish.qos {
        QoS::AtMostOnce => None,
        QoS::AtLeastOnce => Some(publish.pkid),
        QoS::ExactlyOnce => return Err(Violation::QosTwo),
    };
    let body = &publish.payload;
    if body.len() > max_payload {
        return Err(Violation::TooLarge);
    }
    match FromDevice::parse(&publish.topic) {
        Some(FromDevice::Telemetry { device_id: of, bag }) if of == device_id => {
            Ok(Command::Telemetry { bag, body, acknowledge })
        }
        Some(FromDevice::MethodResponse { status, request_id }) => Ok(Command::MethodResponse {
            request_id,
            status,
            body,
            acknowledge,
        }),
        Some(FromDevice::TwinGet { request_id }) => Ok(Command::TwinGet {
            request_id,
            acknowledge,
        }),
        Some(FromDevice::ReportedPatch { request_id }) => Ok(Command::ReportedPatch {
            request_id,
            body,
            acknowledge,
        }),
        _ => Err(Violation::ForeignTopic(publish.topic.clone())),
    }
}

/// The QoS each filter of a SUBSCRIBE is granted: what was asked, at most 1.
pub(super) fn granted(packet: &Packet) -> Vec<QoS> {
    let Packet::Subscribe(subscribe) = packet else {
        return Vec::new();
    };
    let cap = |qos| {
        if qos == QoS::AtMostOnce {
            QoS::AtMostOnce
        } else {
            QoS::AtLeastOnce
        }
    };
    subscribe.filters.iter().map(|filter| cap(filter.qos)).collect()
}

/// The twin as its device sees it: values and versions, nothing else (device.md 6.1).
pub(super) fn twin_for_device(twin: &Twin) -> Bytes {
    let section = |set: &hub_protocol::twin::PropertySet| {
        let mut values = set.values.clone();
        values.insert("$version".into(), json!(set.version));
        Value::Object(values)
    };
    let document =
        json!({ "desired": section(&twin.properties.desired), "reported": section(&twin.properties.reported) });
    document.to_string().into()
}

#[cfg(test)]
mod tests {
    use rumqttc::mqttbytes::v4::{PubAck, Subscribe, Unsubscribe};

    use super::*;

    fn publish(topic: &str, qos: QoS, size: usize) -> Packet {
        let mut publish = Publish::new(topic, qos, vec![b'x'; size]);
        publish.pkid = 7;
        Packet::Publish(publish)
    }

    fn meaning(packet: &Packet) -> Result<Command<'_>, Violation> {
        interpret(packet, "dev-1", 100)
    }

    #[test]
    fn telemetry_of_the_device_itself_is_taken_and_acknowledged_at_qos_1() {
        let packet = publish("devices/dev-1/messages/events/", QoS::AtLeastOnce, 1);
        assert!(matches!(
            meaning(&packet),
            Ok(Command::Telemetry {
                acknowledge: Some(7),
                ..
            })
        ));
        let packet = publish("devices/dev-1/messages/events/", QoS::AtMostOnce, 1);
        assert!(matches!(
            meaning(&packet),
            Ok(Command::Telemetry { acknowledge: None, .. })
        ));
    }

    #[test]
    fn another_devices_topics_close_the_connection() {
        for topic in ["devices/dev-10/messages/events/", "$iothub/other", "#", "x"] {
            assert!(
                matches!(
                    meaning(&publish(topic, QoS::AtMostOnce, 1)),
                    Err(Violation::ForeignTopic(_))
                ),
                "{topic}"
            );
        }
        assert!(matches!(
            meaning(&Packet::Subscribe(Subscribe::new("#", QoS::AtMostOnce))),
            Err(Violation::ForeignTopic(_))
        ));
    }

    #[test]
    fn qos_2_large_messages_and_a_second_connect_close_the_connection() {
        assert_eq!(
            meaning(&publish("devices/dev-1/messages/events/", QoS::ExactlyOnce, 1)),
            Err(Violation::QosTwo)
        );
        assert_eq!(
            meaning(&publish("devices/dev-1/messages/events/", QoS::AtMostOnce, 101)),
            Err(Violation::TooLarge)
        );
        assert_eq!(
            meaning(&Packet::Connect(rumqttc::mqttbytes::v4::Connect::new("dev-1"))),
            Err(Violation::SecondConnect)
        );
    }

    #[test]
    fn several_filters_are_granted_in_order_and_at_most_qos_1() {
        let mut subscribe = Subscribe::new("$iothub/methods/POST/#", QoS::ExactlyOnce);
        subscribe.add("$iothub/twin/res/#".into(), QoS::AtMostOnce);
        let packet = Packet::Subscribe(subscribe);
        assert_eq!(granted(&packet), vec![QoS::AtLeastOnce, QoS::AtMostOnce]);
        assert!(
            matches!(meaning(&packet), Ok(Command::Subscribe { filters, .. }) if filters == [Filter::Methods, Filter::TwinResponses])
        );
    }

    #[test]
    fn unknown_filters_are_unsubscribed_without_complaint() {
        assert!(
            matches!(meaning(&Packet::Unsubscribe(Unsubscribe::new("nonsense"))), Ok(Command::Unsubscribe { filters, .. }) if filters.is_empty())
        );
        assert_eq!(meaning(&Packet::PubAck(PubAck::new(1))), Ok(Command::Acknowledged));
    }
}

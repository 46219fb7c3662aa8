//! What a device's packet means. Packets in, commands out; no socket, no state.

use bytes::Bytes;
use hub_protocol::{
    ClientId,
    message::{Properties, SystemProperty},
    topic::{Filter, FromDevice, Subscription},
    twin::Twin,
};
use rumqttc::{
    QoS,
    mqttbytes::v4::{LastWill, Packet, Publish, SubscribeReasonCode},
};
use serde_json::{Value, json};

/// Body and properties of a message together (device.md 2.5: 256 KiB).
pub(super) const MAX_MESSAGE: usize = 256 * 1024;

/// A request id is repeated in the answer's topic, which must fit a packet.
const MAX_REQUEST_ID: usize = 1024;

/// What the hub is to do. `acknowledge` is the packet id of a QoS 1 PUBLISH.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command<'a> {
    Telemetry {
        message: Message,
        acknowledge: Option<u16>,
    },
    MethodResponse {
        request_id: &'a str,
        status: i32,
        body: &'a Bytes,
        acknowledge: Option<u16>,
    },
    Ping,
    /// A PUBACK.
    Acknowledged {
        packet_id: u16,
    },
    Disconnect,
    /// What takes the hub's storage, and so a while.
    Request(Request<'a>),
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Request<'a> {
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
        asked: Vec<Subscription>,
    },
    Unsubscribe {
        packet_id: u16,
        filters: Vec<Filter>,
    },
}

/// A message to the cloud, or the will to send one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub properties: Properties,
    pub body: Bytes,
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
    #[error("a request id over {MAX_REQUEST_ID} bytes")]
    RequestId,
    #[error("a packet that only a server sends")]
    ServerPacket,
}

pub(super) fn interpret<'a>(packet: &'a Packet, id: &ClientId) -> Result<Command<'a>, Violation> {
    match packet {
        Packet::Publish(publish) => interpret_publish(publish, id),
        Packet::Subscribe(subscribe) => {
            let asked = subscribe.filters.iter().map(|asked| {
                let filter = Filter::parse(&asked.path, id);
                let filter = filter.ok_or_else(|| Violation::ForeignTopic(asked.path.clone()))?;
                Ok(Subscription {
                    filter,
                    at_least_once: asked.qos != QoS::AtMostOnce,
                })
            });
            Ok(Command::Request(Request::Subscribe {
                packet_id: subscribe.pkid,
                asked: asked.collect::<Result<_, _>>()?,
            }))
        }
        Packet::Unsubscribe(unsubscribe) => {
            // An unknown filter is acknowledged like a known one.
            let filters = unsubscribe
                .topics
                .iter()
                .filter_map(|topic| Filter::parse(topic, id))
                .collect();
            Ok(Command::Request(Request::Unsubscribe {
                packet_id: unsubscribe.pkid,
                filters,
            }))
        }
        Packet::PingReq => Ok(Command::Ping),
        Packet::PubAck(acknowledged) => Ok(Command::Acknowledged {
            packet_id: acknowledged.pkid,
        }),
        Packet::Disconnect => Ok(Command::Disconnect),
        Packet::Connect(_) => Err(Violation::SecondConnect),
        Packet::PubRec(_) | Packet::PubRel(_) | Packet::PubComp(_) => Err(Violation::QosTwo),
        Packet::ConnAck(_) | Packet::SubAck(_) | Packet::UnsubAck(_) | Packet::PingResp => Err(Violation::ServerPacket),
    }
}

fn interpret_publish<'a>(publish: &'a Publish, id: &ClientId) -> Result<Command<'a>, Violation> {
    let acknowledge = match publish.qos {
        QoS::AtMostOnce => None,
        QoS::AtLeastOnce => Some(publish.pkid),
        QoS::ExactlyOnce => return Err(Violation::QosTwo),
    };
    let body = &publish.payload;
    if body.len() > MAX_MESSAGE {
        return Err(Violation::TooLarge);
    }
    let meaning = FromDevice::parse(&publish.topic);
    if let Some(
        FromDevice::TwinGet { request_id }
        | FromDevice::ReportedPatch {
            request_id: Some(request_id),
        },
    ) = meaning
        && request_id.len() > MAX_REQUEST_ID
    {
        return Err(Violation::RequestId);
    }
    Ok(match meaning {
        Some(FromDevice::Telemetry {
            device_id,
            module_id,
            bag,
        }) if device_id == id.device_str() && module_id == id.module_str() => Command::Telemetry {
            message: Message::new(bag, body, publish.retain)?,
            acknowledge,
        },
        Some(FromDevice::MethodResponse { status, request_id }) => Command::MethodResponse {
            request_id,
            status,
            body,
            acknowledge,
        },
        Some(FromDevice::TwinGet { request_id }) => Command::Request(Request::TwinGet {
            request_id,
            acknowledge,
        }),
        Some(FromDevice::ReportedPatch { request_id }) => Command::Request(Request::ReportedPatch {
            request_id,
            body,
            acknowledge,
        }),
        _ => return Err(Violation::ForeignTopic(publish.topic.clone())),
    })
}

impl Message {
    fn new(bag: &str, body: &Bytes, retain: bool) -> Result<Self, Violation> {
        let mut properties = Properties::from_bag(bag);
        // Only the hub says who sent a message.
        properties.system.remove(&SystemProperty::SenderDeviceId);
        properties.system.remove(&SystemProperty::SenderModuleId);
        if retain {
            properties.application.push(("mqtt-retain".into(), Some("true".into())));
        }
        if body.len() + properties.size() > MAX_MESSAGE {
            return Err(Violation::TooLarge);
        }
        let body = body.clone();
        Ok(Self { properties, body })
    }

    /// What is sent for the device when it is lost. Its topic must be the device's own telemetry.
    pub(super) fn of_will(will: &LastWill, id: &ClientId) -> Result<Self, Violation> {
        match FromDevice::parse(&will.topic) {
            Some(FromDevice::Telemetry {
                device_id,
                module_id,
                bag,
            }) if device_id == id.device_str() && module_id == id.module_str() => {
                let mut message = Self::new(bag, &will.message, will.retain)?;
                let kind = ("iothub-MessageType".into(), Some("Will".into()));
                message.properties.application.push(kind);
                Ok(message)
            }
            _ => Err(Violation::ForeignTopic(will.topic.clone())),
        }
    }
}

/// A SUBACK's codes: what was asked, at most QoS 1.
pub(super) fn granted(asked: &[Subscription]) -> Vec<SubscribeReasonCode> {
    let code = |subscription: &Subscription| {
        SubscribeReasonCode::Success(if subscription.at_least_once {
            QoS::AtLeastOnce
        } else {
            QoS::AtMostOnce
        })
    };
    asked.iter().map(code).collect()
}

/// Whether what has come so far begins a CONNECT of another protocol or level than MQTT 3.1.1's:
/// what is behind the level cannot be read then, and the answer is known (device.md 2.2).
pub(super) fn is_other_protocol(frame: &[u8]) -> bool {
    let Some((0x10, rest)) = frame.split_first().map(|(first, rest)| (first & 0xF0, rest)) else {
        return false;
    };
    let length_bytes = 1 + rest.iter().take(3).take_while(|byte| **byte & 0x80 != 0).count();
    let Some(variable) = rest.get(length_bytes..) else {
        return false;
    };
    match variable {
        [0, 4, b'M', b'Q', b'T', b'T', level, ..] => *level != 4,
        [0, 6, b'M', b'Q', b'I', b's', b'd', b'p', ..] => true,
        _ => false,
    }
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
    use rumqttc::mqttbytes::v4::{Connect, PubAck, Subscribe, Unsubscribe};

    use super::*;

    const EVENTS: &str = "devices/dev-1/messages/events/";

    fn publish(topic: &str, qos: QoS, size: usize) -> Packet {
        let mut publish = Publish::new(topic, qos, vec![b'x'; size]);
        publish.pkid = 7;
        Packet::Publish(publish)
    }

    fn device() -> ClientId {
        ClientId::new("dev-1", None).unwrap()
    }

    fn module() -> ClientId {
        ClientId::new("dev-1", Some("m")).unwrap()
    }

    fn meaning(packet: &Packet) -> Result<Command<'_>, Violation> {
        interpret(packet, &device())
    }

    #[test]
    fn telemetry_of_the_device_itself_is_taken_and_acknowledged_at_qos_1() {
        for (qos, expected) in [(QoS::AtLeastOnce, Some(7)), (QoS::AtMostOnce, None)] {
            let packet = publish(EVENTS, qos, 1);
            assert!(matches!(meaning(&packet), Ok(Command::Telemetry { acknowledge, .. }) if acknowledge == expected));
        }
    }

    #[test]
    fn a_module_and_its_device_have_topics_of_their_own() {
        let of_module = publish("devices/dev-1/modules/m/messages/events/", QoS::AtMostOnce, 1);
        assert!(matches!(
            interpret(&of_module, &module()),
            Ok(Command::Telemetry { .. })
        ));
        for (packet, id) in [
            (&of_module, device()),
            (&of_module, ClientId::new("dev-1", Some("m2")).unwrap()),
            (&publish(EVENTS, QoS::AtMostOnce, 1), module()),
        ] {
            assert!(
                matches!(interpret(packet, &id), Err(Violation::ForeignTopic(_))),
                "{id}"
            );
        }
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
        assert_eq!(meaning(&publish(EVENTS, QoS::ExactlyOnce, 1)), Err(Violation::QosTwo));
        assert!(meaning(&publish(EVENTS, QoS::AtMostOnce, MAX_MESSAGE)).is_ok());
        for (topic, size) in [(EVENTS, MAX_MESSAGE + 1), (&*format!("{EVENTS}a=1"), MAX_MESSAGE - 1)] {
            let packet = publish(topic, QoS::AtMostOnce, size);
            assert_eq!(meaning(&packet), Err(Violation::TooLarge), "{topic}");
        }
        assert_eq!(
            meaning(&Packet::Connect(Connect::new("dev-1"))),
            Err(Violation::SecondConnect)
        );
    }

    #[test]
    fn several_filters_are_granted_in_order_and_at_most_qos_1() {
        let mut subscribe = Subscribe::new("$iothub/methods/POST/#", QoS::ExactlyOnce);
        subscribe.add("$iothub/twin/res/#".into(), QoS::AtMostOnce);
        let packet = Packet::Subscribe(subscribe);
        let Ok(Command::Request(Request::Subscribe { asked, .. })) = meaning(&packet) else {
            panic!("not taken")
        };
        let filters: Vec<_> = asked.iter().map(|asked| (asked.filter, asked.at_least_once)).collect();
        assert_eq!(filters, [(Filter::Methods, true), (Filter::TwinResponses, false)]);
        let codes = [QoS::AtLeastOnce, QoS::AtMostOnce].map(SubscribeReasonCode::Success);
        assert_eq!(granted(&asked), codes);
    }

    #[test]
    fn unknown_filters_are_unsubscribed_without_complaint() {
        assert!(matches!(
            meaning(&Packet::Unsubscribe(Unsubscribe::new("nonsense"))),
            Ok(Command::Request(Request::Unsubscribe { filters, .. })) if filters.is_empty()
        ));
        assert_eq!(
            meaning(&Packet::PubAck(PubAck::new(1))),
            Ok(Command::Acknowledged { packet_id: 1 })
        );
    }

    #[test]
    fn nobody_signs_with_another_s_name_and_retained_is_a_property() {
        let bag = "%24.cdid=other&%24.cmid=m&a=1";
        let mut sent = Publish::new(format!("{EVENTS}{bag}"), QoS::AtMostOnce, "x");
        sent.retain = true;
        let packet = Packet::Publish(sent);
        let Ok(Command::Telemetry { message, .. }) = meaning(&packet) else {
            panic!("not taken")
        };
        assert!(message.properties.system.is_empty());
        let application = [("a", "1"), ("mqtt-retain", "true")].map(|(key, value)| (key.into(), Some(value.into())));
        assert_eq!(message.properties.application, application);
    }

    #[test]
    fn a_will_is_the_device_s_own_telemetry_and_says_that_it_is_one() {
        let will = |topic: &str| LastWill::new(topic, "gone", QoS::AtLeastOnce, false);
        let message = Message::of_will(&will(&format!("{EVENTS}a=1")), &device()).unwrap();
        let application =
            [("a", "1"), ("iothub-MessageType", "Will")].map(|(key, value)| (key.into(), Some(value.into())));
        assert_eq!(message.properties.application, application);
        assert_eq!(message.body, "gone");
        for foreign in ["devices/dev-10/messages/events/", "$iothub/twin/GET/?$rid=1", "x"] {
            assert!(Message::of_will(&will(foreign), &device()).is_err(), "{foreign}");
        }
        assert!(Message::of_will(&will(EVENTS), &module()).is_err());
    }

    #[test]
    fn other_protocols_and_levels_are_told_from_ours() {
        let connect = |name: &[u8], level: u8| {
            let mut frame = vec![
                0x10,
                u8::try_from(name.len()).unwrap() + 10,
                0,
                u8::try_from(name.len()).unwrap(),
            ];
            frame.extend_from_slice(name);
            frame.extend_from_slice(&[level, 2, 0, 60, 0, 1, b'd']);
            frame
        };
        assert!(!is_other_protocol(&connect(b"MQTT", 4)));
        for (name, level) in [(&b"MQTT"[..], 3), (b"MQTT", 5), (b"MQIsdp", 3)] {
            assert!(is_other_protocol(&connect(name, level)), "{name:?} {level}");
        }
        assert!(!is_other_protocol(&connect(b"HTTP", 1)), "not MQTT at all");
        assert!(!is_other_protocol(&[0xC0, 0]) && !is_other_protocol(&[0x10]) && !is_other_protocol(&[]));
        // A remaining length of several bytes.
        let mut long = connect(b"MQTT", 5);
        long.splice(1..2, [0xC8, 0x01]);
        assert!(is_other_protocol(&long));
    }
}

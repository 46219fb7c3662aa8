//! What must hold for any bytes a device may send; checked by tests here and by the fuzz target.

use bytes::BytesMut;
use hub_protocol::{
    ClientId,
    message::SystemProperty,
    topic::{FromDevice, twin_response},
};
use rumqttc::{
    QoS,
    mqttbytes::{
        Error as CodecError,
        v4::{Connect, Packet, PubAck, SubAck, SubscribeReasonCode, UnsubAck},
    },
};

use super::{
    packet::{Command, MAX_MESSAGE, Message, Request, granted, interpret, is_other_protocol},
    wire::MAX_PACKET,
};
use crate::auth::claimed_client;

const DEVICE: &str = "dev-1";
const MODULE: &str = "m";
const HOST: &str = "h.local";

/// Reads `bytes` as one connection's, and panics where something does not hold.
pub(crate) fn read_from_device(bytes: &[u8]) {
    let whole = packets(&[bytes]);
    if matches!(whole.0.first(), Some(Packet::Connect(_))) && is_other_protocol(bytes) {
        assert!(
            bytes.windows(5).any(|window| window == b"MQTT\x05"),
            "our own protocol is taken for another"
        );
    }
    // Where one read of the socket ends and the next begins means nothing.
    let (first, second) = bytes.split_at(bytes.len() / 2);
    assert_eq!(packets(&[first, second]), whole, "packets depend on how they arrive");
    let ids = [ClientId::new(DEVICE, None), ClientId::new(DEVICE, Some(MODULE))];
    let [Ok(device), Ok(module)] = ids else {
        unreachable!("{DEVICE} and {MODULE} are ids")
    };
    for packet in &whole.0 {
        rewritten_reads_alike(packet);
        means_what_it_says(packet, &device);
        means_what_it_says(packet, &module);
    }
}

/// How reading ended: more bytes are awaited, or no further byte can be understood.
#[derive(Debug, PartialEq, Eq)]
enum Rest {
    Awaited,
    Malformed,
}

fn packets(pieces: &[&[u8]]) -> (Vec<Packet>, Rest) {
    let mut incoming = BytesMut::new();
    let mut packets = Vec::new();
    for piece in pieces {
        incoming.extend_from_slice(piece);
        loop {
            // What answers wait for: with a whole packet there, reading it never waits.
            let whole = rumqttc::mqttbytes::check(incoming.iter(), MAX_PACKET).is_ok();
            let before = incoming.len();
            match Packet::read(&mut incoming, MAX_PACKET) {
                Ok(packet) => {
                    assert!(whole && incoming.len() < before, "a packet is read from its own bytes");
                    packets.push(packet);
                }
                Err(CodecError::InsufficientBytes(missing)) => {
                    assert!(!whole && missing > 0);
                    assert_eq!(incoming.len(), before, "bytes of an unfinished packet are lost");
                    assert!(
                        incoming.len() + missing <= MAX_PACKET + 5,
                        "an endless packet is awaited"
                    );
                    break;
                }
                Err(_) => return (packets, Rest::Malformed),
            }
        }
    }
    (packets, Rest::Awaited)
}

/// Our devices and the hub write with the codec that reads.
fn rewritten_reads_alike(packet: &Packet) {
    let mut bytes = BytesMut::new();
    let size = packet.write(&mut bytes, usize::MAX);
    assert_eq!(
        size.ok(),
        Some(bytes.len()),
        "{packet:?} says another size than it writes"
    );
    let again = Packet::read(&mut bytes, MAX_PACKET).ok();
    assert_eq!(again.as_ref(), Some(packet));
    assert!(bytes.is_empty());
}

fn means_what_it_says(packet: &Packet, id: &ClientId) {
    if let Packet::Connect(connect) = packet {
        claims_itself(connect);
        wills_its_own(connect, id);
    }
    let Ok(command) = interpret(packet, id) else {
        return;
    };
    match (&command, packet) {
        (Command::Request(Request::Subscribe { packet_id, asked }), Packet::Subscribe(subscribe)) => {
            let texts = asked.iter().map(|asked| asked.filter.text(id));
            assert!(
                texts.eq(subscribe.filters.iter().map(|filter| filter.path.clone())),
                "a filter means another"
            );
            let granted = granted(asked);
            let requested = subscribe.filters.iter().map(|filter| filter.qos);
            assert_eq!(granted.len(), asked.len(), "SUBACK has one code a filter");
            assert!(granted.iter().zip(requested).all(|(granted, requested)| matches!(
                granted,
                SubscribeReasonCode::Success(granted) if *granted <= requested && *granted <= QoS::AtLeastOnce
            )));
            rewritten_reads_alike(&Packet::SubAck(SubAck::new(*packet_id, granted)));
        }
        (Command::Request(Request::Unsubscribe { packet_id, filters }), Packet::Unsubscribe(unsubscribe)) => {
            let known = |text: &String| unsubscribe.topics.contains(text);
            assert!(filters.iter().map(|filter| filter.text(id)).all(|text| known(&text)));
            rewritten_reads_alike(&Packet::UnsubAck(UnsubAck::new(*packet_id)));
        }
        (Command::Telemetry { message, acknowledge }, Packet::Publish(publish)) => {
            assert!(is_own_telemetry(&publish.topic, id));
            assert_eq!(message.body, publish.payload);
            message_holds(message);
            settles(*acknowledge, packet);
        }
        (
            Command::MethodResponse { body, acknowledge, .. }
            | Command::Request(Request::ReportedPatch { body, acknowledge, .. }),
            Packet::Publish(publish),
        ) => {
            assert_eq!(**body, publish.payload);
            assert!(body.len() <= MAX_MESSAGE);
            settles(*acknowledge, packet);
        }
        (Command::Request(Request::TwinGet { acknowledge, .. }), Packet::Publish(_)) => settles(*acknowledge, packet),
        (Command::Ping, Packet::PingReq)
        | (Command::Acknowledged { .. }, Packet::PubAck(_))
        | (Command::Disconnect, Packet::Disconnect) => {}
        (command, packet) => panic!("{packet:?} became {command:?}"),
    }
    let asked = match &command {
        Command::Request(Request::TwinGet { request_id, .. }) => Some(*request_id),
        Command::Request(Request::ReportedPatch { request_id, .. }) => *request_id,
        _ => None,
    };
    if let Some(request_id) = asked {
        // The longest answer to it must still be a topic.
        let answer = twin_response(204, request_id, Some(u64::MAX));
        assert!(
            u16::try_from(answer.len()).is_ok(),
            "an answer's topic would not fit a packet"
        );
    }
}

fn is_own_telemetry(topic: &str, id: &ClientId) -> bool {
    matches!(
        FromDevice::parse(topic),
        Some(FromDevice::Telemetry { device_id, module_id, .. })
            if device_id == id.device_str() && module_id == id.module_str()
    )
}

/// QoS 1 is acknowledged with the packet's own id, QoS 0 not at all.
fn settles(acknowledge: Option<u16>, packet: &Packet) {
    let Packet::Publish(publish) = packet else {
        panic!("{packet:?} is no PUBLISH")
    };
    match publish.qos {
        QoS::AtMostOnce => assert_eq!(acknowledge, None),
        QoS::AtLeastOnce => assert_eq!(acknowledge, Some(publish.pkid).filter(|id| *id != 0)),
        QoS::ExactlyOnce => panic!("QoS 2 was taken"),
    }
    if let Some(id) = acknowledge {
        rewritten_reads_alike(&Packet::PubAck(PubAck::new(id)));
    }
}

/// It is within its limit, and the hub alone says who sent it.
fn message_holds(message: &Message) {
    let properties = &message.properties;
    assert!(message.body.len() + properties.size() <= MAX_MESSAGE);
    for forged in [SystemProperty::SenderDeviceId, SystemProperty::SenderModuleId] {
        assert_eq!(properties.get(forged), None);
    }
}

/// A will is a message like others, to the topic of the one who leaves it.
fn wills_its_own(connect: &Connect, id: &ClientId) {
    let Some(will) = &connect.last_will else { return };
    if let Ok(message) = Message::of_will(will, id) {
        assert!(is_own_telemetry(&will.topic, id));
        assert_eq!(message.body, will.message);
        message_holds(&message);
    }
}

/// A connection is admitted under one name: client id, user name and host agree.
fn claims_itself(connect: &Connect) {
    let Some(login) = &connect.login else { return };
    if let Ok((id, _)) = claimed_client(&connect.client_id, &login.username, &[HOST.to_owned()]) {
        assert_eq!(id.to_string(), connect.client_id);
        let mut parts = login.username.split('/');
        let host = parts.next().and_then(|host| host.split(':').next()).unwrap_or_default();
        assert!(host.eq_ignore_ascii_case(HOST));
        assert_eq!(parts.next(), Some(id.device_str()));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rumqttc::mqttbytes::v4::{Publish, Subscribe};

    use super::*;

    fn bytes_of(packets: &[Packet]) -> Vec<u8> {
        let mut bytes = BytesMut::new();
        for packet in packets {
            packet.write(&mut bytes, usize::MAX).unwrap();
        }
        bytes.to_vec()
    }

    /// A device's life: connect, subscribe, report, answer, leave.
    fn a_life(user_name: &str, topic: &str, body: &[u8], pkid: u16) -> Vec<u8> {
        let mut connect = Connect::new(DEVICE);
        connect.set_login(user_name, "token");
        let mut publish = Publish::new(topic, if pkid == 0 { QoS::AtMostOnce } else { QoS::AtLeastOnce }, body);
        publish.pkid = pkid;
        bytes_of(&[
            Packet::Connect(connect),
            Packet::Subscribe(Subscribe::new(topic, QoS::ExactlyOnce)),
            Packet::Publish(publish),
            Packet::PingReq,
            Packet::Disconnect,
        ])
    }

    proptest! {
        #[test]
        fn any_bytes_keep_the_invariants(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            read_from_device(&bytes);
        }

        #[test]
        fn a_damaged_conversation_keeps_the_invariants(
            user_name in "(h\\.local|other)(:[0-9]{1,3})?/(dev-1|d)/(\\?api-version=1)?",
            topic in "(\\$iothub/(twin/(GET|res|PATCH/properties/(desired|reported))|methods/(res/20[0-9]|POST))|devices/dev-1/messages/(events|devicebound))/(#|\\?\\$rid=[a-z0-9]{0,3})?",
            body in prop::collection::vec(any::<u8>(), 0..20),
            pkid: u16,
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        ) {
            let mut bytes = a_life(&user_name, &topic, &body, pkid);
            read_from_device(&bytes);
            for (place, byte) in damage {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
            read_from_device(&bytes);
        }
    }
}

//! Packets in words: one line each, for the protocol log.
//!
//! Whatever a device sends is repeated in bounds, without control characters, and never its
//! password.

use std::fmt::Write as _;

use hub_protocol::{
    ClientId, Timestamp,
    sas::SasToken,
    topic::{Filter, FromDevice, ToDevice},
};
use percent_encoding::percent_decode_str;
use rumqttc::{
    QoS,
    mqttbytes::v4::{ConnAck, Connect, ConnectReturnCode, Packet, Publish, SubscribeReasonCode},
};

use super::{End, packet::Violation};
use crate::protocol_log::LineKind;

/// Characters shown of a body, a property bag, or a topic.
const SHOWN: usize = 120;

/// What a packet of `client` (`device` or `device/module`), or of the hub to it, says.
pub(super) fn explain(packet: &Packet, client: &str, now: Timestamp) -> String {
    match packet {
        Packet::Connect(connect) => explain_connect(connect, now),
        Packet::ConnAck(answer) => connack(answer),
        Packet::Publish(publish) => publish_line(publish),
        Packet::PubAck(acknowledged) => format!("PUBACK {}", acknowledged.pkid),
        Packet::Subscribe(subscribe) => {
            let filters = subscribe.filters.iter();
            let filters = filters.map(|asked| format!("{} (QoS {})", filter(&asked.path, client), number(asked.qos)));
            format!("SUBSCRIBE {}{}", list(filters), packet_id(subscribe.pkid))
        }
        Packet::SubAck(answer) => {
            let codes = answer.return_codes.iter().map(|code| match code {
                SubscribeReasonCode::Success(qos) => format!("QoS {}", number(*qos)),
                SubscribeReasonCode::Failure => "refused".to_owned(),
            });
            format!("SUBACK {}, granted {}", answer.pkid, list(codes))
        }
        Packet::Unsubscribe(unsubscribe) => {
            let topics = unsubscribe.topics.iter().map(|topic| filter(topic, client));
            format!("UNSUBSCRIBE {}{}", list(topics), packet_id(unsubscribe.pkid))
        }
        Packet::UnsubAck(answer) => format!("UNSUBACK {}", answer.pkid),
        Packet::PingReq => "PINGREQ, still here".into(),
        Packet::PingResp => "PINGRESP".into(),
        Packet::Disconnect => "DISCONNECT, a goodbye".into(),
        Packet::PubRec(_) | Packet::PubRel(_) | Packet::PubComp(_) => "a packet of QoS 2".into(),
    }
}

pub(super) fn explain_connect(connect: &Connect, now: Timestamp) -> String {
    let mut line = format!(
        "CONNECT as {}, clean session {}, keep-alive {} s",
        shown(&connect.client_id),
        u8::from(connect.clean_session),
        connect.keep_alive
    );
    match &connect.login {
        None => line.push_str(", without a user name"),
        Some(login) => {
            let query = login.username.rsplit('/').next().unwrap_or_default();
            let query = query.strip_prefix('?').unwrap_or(query);
            let version = query.split('&').find_map(|item| item.strip_prefix("api-version="));
            match version {
                Some(version) => drop(write!(line, ", api-version {}", shown(version))),
                None => line.push_str(", no api-version"),
            }
            line.push_str(&token(&login.password, now));
        }
    }
    if let Some(will) = &connect.last_will {
        let _ = write!(line, ", leaves a will of {}", bytes(will.message.len()));
    }
    line
}

/// Until when a token is good, and nothing else of it.
fn token(password: &str, now: Timestamp) -> String {
    if password.is_empty() {
        return ", no token".into();
    }
    let Ok(token) = SasToken::parse(password) else {
        return ", a password that is no token".into();
    };
    let end = Timestamp::from_unix_nanos(i128::from(token.expiry) * 1_000_000_000);
    if end == Timestamp::NEVER {
        return ", token without end".into();
    }
    // To the second.
    let text = end.to_string();
    let text = text.split('.').next().unwrap_or_default();
    if end <= now {
        format!(", token expired at {text}Z")
    } else {
        format!(", token valid until {text}Z")
    }
}

fn connack(answer: &ConnAck) -> String {
    let code = match answer.code {
        ConnectReturnCode::Success if answer.session_present => return "CONNACK accepted, the session is kept".into(),
        ConnectReturnCode::Success => return "CONNACK accepted".into(),
        ConnectReturnCode::RefusedProtocolVersion => "1, another protocol version",
        ConnectReturnCode::BadClientId => "2, bad client id",
        ConnectReturnCode::ServiceUnavailable => "3, try later",
        ConnectReturnCode::BadUserNamePassword => "4, bad user name or password",
        ConnectReturnCode::NotAuthorized => "5, not authorized",
    };
    format!("CONNACK refused with {code}")
}

fn publish_line(publish: &Publish) -> String {
    let meaning = meaning(&publish.topic);
    let mut line = format!("PUBLISH QoS {} {meaning}", number(publish.qos));
    if publish.qos != QoS::AtMostOnce {
        line.push_str(&packet_id(publish.pkid));
    }
    if publish.dup {
        line.push_str(", once more");
    }
    if publish.retain {
        line.push_str(", retain");
    }
    let size = publish.payload.len();
    let _ = write!(line, ", {}", bytes(size));
    if size > 0 {
        line.push_str(&body(&publish.payload));
    }
    line
}

fn meaning(topic: &str) -> String {
    match FromDevice::parse(topic) {
        Some(FromDevice::Telemetry { bag, .. }) => return format!("telemetry{}", properties(bag)),
        Some(FromDevice::MethodResponse { status, request_id }) => {
            return format!("answers a method with {status} (rid {})", shown(request_id));
        }
        Some(FromDevice::TwinGet { request_id }) => return format!("asks for its twin (rid {})", shown(request_id)),
        Some(FromDevice::ReportedPatch { request_id }) => {
            let request_id = request_id.map_or("no rid, so no answer".into(), |id| format!("rid {}", shown(id)));
            return format!("reported properties ({request_id})");
        }
        None => {}
    }
    match ToDevice::parse(topic) {
        Some(ToDevice::MethodRequest { name, request_id }) => {
            format!("method `{}` (rid {})", shown(&name), shown(request_id))
        }
        Some(ToDevice::TwinResponse {
            status,
            request_id,
            version,
        }) => {
            let version = version.map_or(String::new(), |version| format!(", version {version}"));
            format!("twin answer {status} (rid {}){version}", shown(request_id))
        }
        Some(ToDevice::DesiredPatch { version }) => format!("desired properties, version {version}"),
        Some(ToDevice::CloudToDevice { bag }) => format!("message to the device{}", properties(bag)),
        None => format!("to `{}`, which is no topic of IoT Hub", shown(topic)),
    }
}

fn filter(path: &str, client: &str) -> String {
    let (device, module) = match client.split_once('/') {
        Some((device, module)) => (device, Some(module)),
        None => (client, None),
    };
    let known = ClientId::new(device, module)
        .ok()
        .and_then(|id| Filter::parse(path, &id));
    match known {
        Some(Filter::Methods) => "direct methods".into(),
        Some(Filter::TwinResponses) => "twin answers".into(),
        Some(Filter::DesiredPatches) => "changes of desired properties".into(),
        Some(Filter::CloudToDevice) => "messages to the device".into(),
        Some(Filter::Inputs) => "inputs of the module".into(),
        Some(Filter::Module) => "everything of the module".into(),
        None => format!("`{}`, which is not this device's", shown(path)),
    }
}

fn properties(bag: &str) -> String {
    let bag = bag.strip_prefix('?').unwrap_or(bag);
    let bag = bag.strip_suffix('/').unwrap_or(bag);
    if bag.is_empty() {
        return String::new();
    }
    let decoded = percent_decode_str(bag).decode_utf8_lossy();
    format!(", properties: {}", shown(&decoded))
}

fn body(payload: &[u8]) -> String {
    // What is cut off may cut a character in two.
    let beginning = payload.get(..SHOWN * 4).unwrap_or(payload);
    let text = match std::str::from_utf8(beginning) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() && beginning.len() < payload.len() => {
            std::str::from_utf8(&beginning[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return ", binary".into(),
    };
    format!(": {}", shown(text))
}

/// One line of at most `SHOWN` characters.
fn shown(text: &str) -> String {
    let mut line: String = text
        .chars()
        .take(SHOWN)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if text.chars().nth(SHOWN).is_some() {
        line.push('…');
    }
    line
}

fn list(items: impl Iterator<Item = String>) -> String {
    const MOST: usize = 8;
    let mut items: Vec<String> = items.take(MOST + 1).collect();
    if items.len() > MOST {
        items[MOST] = "…".into();
    }
    items.join(", ")
}

fn packet_id(id: u16) -> String {
    format!(", packet {id}")
}

fn bytes(count: usize) -> String {
    match count {
        0 => "no body".into(),
        1 => "1 byte".into(),
        _ => format!("{count} bytes"),
    }
}

fn number(qos: QoS) -> u8 {
    match qos {
        QoS::AtMostOnce => 0,
        QoS::AtLeastOnce => 1,
        QoS::ExactlyOnce => 2,
    }
}

/// How a connection ended, and whether the device is to blame.
pub(super) fn explain_end(end: &End) -> (LineKind, String) {
    let closed = |text: String| (LineKind::Closed, format!("closed: {text}"));
    let refused = |text: String| (LineKind::Refused, text);
    match end {
        End::Disconnected => closed("the device said goodbye".into()),
        End::Closed => closed("the device closed the socket without a goodbye".into()),
        End::Io(error) => closed(format!("the socket failed ({error})")),
        End::Silent(silence) => closed(format!("no packet for {} s", silence.as_secs_f32())),
        End::TokenExpired => closed("the token expired, the device is to come back with a new one".into()),
        End::Kicked => closed(
            "by the hub (a newer connection of this device, a device disabled, deleted or too slow, or the hub stopped)"
                .into(),
        ),
        End::Refused(error) => refused(format!("refused: {}", shown(&error.message))),
        End::OtherProtocol => refused("refused: only MQTT 3.1.1 is spoken here".into()),
        End::Violation(Violation::ForeignTopic(topic)) => refused(format!(
            "closed for `{}`: not a topic that this device may use",
            shown(topic)
        )),
        End::Violation(violation) => refused(format!("closed for {violation}")),
        End::Malformed(error) => refused(format!("closed: a packet cannot be read ({error})")),
        End::Hub(error) => refused(format!("closed: {}", shown(&error.message))),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hub_protocol::{ErrorCode, HubError, Secret, sas, topic};
    use rumqttc::mqttbytes::v4::{LastWill, PubAck, SubAck, Subscribe, UnsubAck, Unsubscribe};

    use super::*;

    const NOW: &str = "2026-11-21T10:00:00Z";

    fn now() -> Timestamp {
        Timestamp::parse(NOW).unwrap()
    }

    fn said(packet: &Packet) -> String {
        explain(packet, "dev-1", now())
    }

    fn publish(topic: impl Into<String>, qos: QoS, body: &str) -> Packet {
        let mut publish = Publish::new(topic, qos, body);
        publish.pkid = 7;
        Packet::Publish(publish)
    }

    fn token_until(expiry: i64) -> Secret {
        let key = sas::SasKey::from_bytes(vec![7; 32]).unwrap();
        let resource = "h/devices/dev-1";
        sas::sign(resource, &key, u64::try_from(expiry).unwrap(), None)
    }

    fn connect(password: &str) -> Packet {
        let mut connect = Connect::new("dev-1");
        connect.clean_session = false;
        connect.keep_alive = 60;
        connect.set_login("h/dev-1/?api-version=2021-04-12&DeviceClientType=x", password);
        Packet::Connect(connect)
    }

    #[test]
    fn connect_says_how_and_until_when_and_never_the_token() {
        let token = token_until(now().unix_seconds() + 3600);
        let line = said(&connect(token.expose()));
        assert_eq!(
            line,
            "CONNECT as dev-1, clean session 0, keep-alive 60 s, api-version 2021-04-12, \
             token valid until 2026-11-21T11:00:00Z"
        );
        let expired = said(&connect(token_until(now().unix_seconds() - 1).expose()));
        assert!(expired.ends_with("token expired at 2026-11-21T09:59:59Z"), "{expired}");
        let secret = "HostName=h;DeviceId=d;SharedAccessKey=c2VjcmV0";
        for (password, end) in [(secret, "a password that is no token"), ("", "no token")] {
            let line = said(&connect(password));
            assert!(line.ends_with(end) && !line.contains("c2VjcmV0"), "{line}");
        }
    }

    #[test]
    fn connect_without_a_user_name_and_with_a_will_says_so() {
        let mut bare = Connect::new("dev-1");
        bare.last_will = Some(LastWill::new("t", "gone", QoS::AtMostOnce, false));
        let line = said(&Packet::Connect(bare));
        assert!(
            line.ends_with(", without a user name, leaves a will of 4 bytes"),
            "{line}"
        );
    }

    #[test]
    fn connack_says_whether_and_why() {
        let line = |code, present| said(&Packet::ConnAck(ConnAck::new(code, present)));
        assert_eq!(line(ConnectReturnCode::Success, false), "CONNACK accepted");
        assert_eq!(
            line(ConnectReturnCode::Success, true),
            "CONNACK accepted, the session is kept"
        );
        assert_eq!(
            line(ConnectReturnCode::NotAuthorized, false),
            "CONNACK refused with 5, not authorized"
        );
    }

    #[test]
    fn what_a_device_publishes_is_named() {
        let telemetry = "devices/dev-1/messages/events/a=1&b=x%20y";
        for (topic, qos, body, line) in [
            (
                telemetry,
                QoS::AtLeastOnce,
                "{\"t\":20}",
                "PUBLISH QoS 1 telemetry, properties: a=1&b=x y, packet 7, 8 bytes: {\"t\":20}",
            ),
            (
                "devices/dev-1/messages/events/",
                QoS::AtMostOnce,
                "",
                "PUBLISH QoS 0 telemetry, no body",
            ),
            (
                "$iothub/methods/res/200/?$rid=1f",
                QoS::AtMostOnce,
                "{}",
                "PUBLISH QoS 0 answers a method with 200 (rid 1f), 2 bytes: {}",
            ),
            (
                "$iothub/twin/GET/?$rid=2",
                QoS::AtMostOnce,
                "",
                "PUBLISH QoS 0 asks for its twin (rid 2), no body",
            ),
            (
                "$iothub/twin/PATCH/properties/reported/?$rid=3",
                QoS::AtMostOnce,
                "{\n}",
                "PUBLISH QoS 0 reported properties (rid 3), 3 bytes: { }",
            ),
            (
                "$iothub/twin/PATCH/properties/reported/",
                QoS::AtMostOnce,
                "{}",
                "PUBLISH QoS 0 reported properties (no rid, so no answer), 2 bytes: {}",
            ),
            (
                "other",
                QoS::AtMostOnce,
                "x",
                "PUBLISH QoS 0 to `other`, which is no topic of IoT Hub, 1 byte: x",
            ),
        ] {
            assert_eq!(said(&publish(topic, qos, body)), line, "{topic}");
        }
    }

    #[test]
    fn what_the_hub_publishes_is_named() {
        for (topic, qos, line) in [
            (
                topic::method_request("reboot", "1f"),
                QoS::AtMostOnce,
                "PUBLISH QoS 0 method `reboot` (rid 1f), 1 byte: 1",
            ),
            (
                topic::twin_response(204, "3", Some(9)),
                QoS::AtMostOnce,
                "PUBLISH QoS 0 twin answer 204 (rid 3), version 9, 1 byte: 1",
            ),
            (
                topic::desired_patch(4),
                QoS::AtMostOnce,
                "PUBLISH QoS 0 desired properties, version 4, 1 byte: 1",
            ),
            (
                topic::cloud_to_device("dev-1", "a=1"),
                QoS::AtLeastOnce,
                "PUBLISH QoS 1 message to the device, properties: a=1, packet 7, 1 byte: 1",
            ),
        ] {
            assert_eq!(said(&publish(topic, qos, "1")), line);
        }
    }

    #[test]
    fn subscriptions_are_called_by_what_they_are_for() {
        let mut subscribe = Subscribe::new(topic::METHODS, QoS::AtMostOnce);
        subscribe.pkid = 3;
        subscribe.add("devices/dev-1/messages/devicebound/#".into(), QoS::AtLeastOnce);
        subscribe.add("#".into(), QoS::AtMostOnce);
        assert_eq!(
            said(&Packet::Subscribe(subscribe)),
            "SUBSCRIBE direct methods (QoS 0), messages to the device (QoS 1), \
             `#`, which is not this device's (QoS 0), packet 3"
        );
        let mut unsubscribe = Unsubscribe::new(topic::DESIRED_PATCHES);
        unsubscribe.pkid = 4;
        assert_eq!(
            said(&Packet::Unsubscribe(unsubscribe)),
            "UNSUBSCRIBE changes of desired properties, packet 4"
        );
        let granted = SubAck::new(3, vec![SubscribeReasonCode::Success(QoS::AtMostOnce)]);
        assert_eq!(said(&Packet::SubAck(granted)), "SUBACK 3, granted QoS 0");
        let mut inputs = Subscribe::new("devices/d/modules/m/inputs/#", QoS::AtMostOnce);
        inputs.pkid = 1;
        assert_eq!(
            explain(&Packet::Subscribe(inputs), "d/m", now()),
            "SUBSCRIBE inputs of the module (QoS 0), packet 1"
        );
    }

    #[test]
    fn small_packets_have_small_lines() {
        for (packet, line) in [
            (Packet::PubAck(PubAck::new(7)), "PUBACK 7"),
            (Packet::UnsubAck(UnsubAck::new(4)), "UNSUBACK 4"),
            (Packet::PingReq, "PINGREQ, still here"),
            (Packet::PingResp, "PINGRESP"),
            (Packet::Disconnect, "DISCONNECT, a goodbye"),
        ] {
            assert_eq!(said(&packet), line);
        }
    }

    #[test]
    fn long_and_binary_bodies_are_cut_to_one_line() {
        let long = "é".repeat(SHOWN * 3);
        let line = said(&publish("devices/dev-1/messages/events/", QoS::AtMostOnce, &long));
        assert!(line.ends_with(&format!(": {}…", "é".repeat(SHOWN))), "{line}");
        let binary = Publish::new("devices/dev-1/messages/events/", QoS::AtMostOnce, vec![0xFF, 0xFE]);
        assert_eq!(
            said(&Packet::Publish(binary)),
            "PUBLISH QoS 0 telemetry, 2 bytes, binary"
        );
    }

    #[test]
    fn an_end_says_why_and_who_is_to_blame() {
        let refused = End::Refused(HubError::new(
            ErrorCode::IotHubUnauthorizedAccess,
            "The token has expired.",
        ));
        for (end, kind, line) in [
            (refused, LineKind::Refused, "refused: The token has expired."),
            (
                End::Silent(Duration::from_secs(90)),
                LineKind::Closed,
                "closed: no packet for 90 s",
            ),
            (
                End::Violation(Violation::ForeignTopic("x".into())),
                LineKind::Refused,
                "closed for `x`: not a topic that this device may use",
            ),
        ] {
            assert_eq!(explain_end(&end), (kind, line.to_owned()));
        }
    }
}

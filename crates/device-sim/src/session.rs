//! What a device knows of its MQTT conversation. No I/O: packets and wishes in, packets and
//! events out.
//!
//! Twin requests and method responses go out with QoS 0, as Microsoft's Node and C SDKs do: their
//! acknowledgement is the hub's answer on a twin topic. Telemetry goes out with QoS 1. Both queues
//! outlive a connection and are sent again, in order, on the next.

use std::collections::VecDeque;

use bytes::Bytes;
use hub_protocol::{
    merge::Object,
    topic::{self, ToDevice},
};
use rumqttc::mqttbytes::{
    QoS,
    v4::{Packet, PubAck, Publish, Subscribe, SubscribeFilter, SubscribeReasonCode},
};
use serde_json::Value;

/// Reports and messages that wait for the hub, each.
const MAX_WAITING: usize = 5;

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct MethodCall {
    pub(crate) name: String,
    pub(crate) request_id: String,
    pub(crate) payload: Value,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Event {
    /// All filters are granted: the hub can reach the device.
    Subscribed,
    /// The hub refused a filter.
    NotSubscribed,
    /// The twin, asked for after each connect; `desired` has its `$version`.
    Twin {
        desired: Object,
        reported: Object,
    },
    /// A desired patch newer than what was seen before, with its `$version`.
    Desired(Object),
    Method(MethodCall),
    /// The answer to a report: the new version, or the hub's status.
    ReportAnswered {
        ticket: u32,
        outcome: Result<(), u16>,
    },
    MessageTaken {
        ticket: u16,
    },
}

struct Report {
    ticket: u32,
    body: Bytes,
}

#[derive(Default)]
pub(crate) struct Session {
    device_id: Box<str>,
    last_packet: u16,
    last_request: u32,
    /// Packet id of the SUBSCRIBE that is not yet answered.
    subscribing: Option<u16>,
    getting_twin: Option<u32>,
    desired_version: u64,
    reports: VecDeque<Report>,
    messages: VecDeque<Publish>,
}

impl Session {
    pub(crate) fn new(device_id: &str) -> Self {
        Self {
            device_id: device_id.into(),
            ..Self::default()
        }
    }

    /// What to say first on a new connection. Filters are subscribed to again although the hub
    /// keeps them: it may have lost them, and it costs one packet.
    pub(crate) fn connected(&mut self) -> Vec<Packet> {
        let mut subscribe = Subscribe::new_many(
            [topic::METHODS, topic::TWIN_RESPONSES, topic::DESIRED_PATCHES]
                .map(|filter| SubscribeFilter::new(filter.into(), QoS::AtLeastOnce)),
        );
        subscribe.pkid = self.packet_id();
        self.subscribing = Some(subscribe.pkid);
        let request = self.request_id();
        self.getting_twin = Some(request);
        let mut packets = vec![
            Packet::Subscribe(subscribe),
            publish(topic::twin_get(&request.to_string()), Bytes::new()),
        ];
        packets.extend(self.reports.iter().map(report_packet));
        for message in &mut self.messages {
            message.dup = true;
            packets.push(Packet::Publish(message.clone()));
        }
        packets
    }

    /// Whether another report and another message may be given.
    pub(crate) fn has_room(&self) -> bool {
        self.reports.len() < MAX_WAITING && self.messages.len() < MAX_WAITING
    }

    /// Whether the hub owes an answer: silence then means that the connection is dead.
    pub(crate) fn awaits_answer(&self) -> bool {
        self.subscribing.is_some()
            || self.getting_twin.is_some()
            || !self.reports.is_empty()
            || !self.messages.is_empty()
    }

    pub(crate) fn report(&mut self, body: Bytes) -> (u32, Packet) {
        let report = Report {
            ticket: self.request_id(),
            body,
        };
        let packet = report_packet(&report);
        let ticket = report.ticket;
        self.reports.push_back(report);
        (ticket, packet)
    }

    pub(crate) fn message(&mut self, body: Bytes) -> (u16, Packet) {
        let topic = topic::telemetry(&self.device_id, "%24.ct=application%2Fjson&%24.ce=utf-8");
        let mut message = Publish::from_bytes(topic, QoS::AtLeastOnce, body);
        message.pkid = self.packet_id();
        self.messages.push_back(message.clone());
        (message.pkid, Packet::Publish(message))
    }

    pub(crate) fn respond(request_id: &str, status: i32, body: Bytes) -> Packet {
        publish(topic::method_response(status, request_id), body)
    }

    /// Takes one packet of the hub: what to answer at once, and what it means. Both may be
    /// nothing: packets and topics not understood are passed over, as a hub may learn new ones.
    pub(crate) fn received(&mut self, packet: Packet) -> (Option<Packet>, Option<Event>) {
        match packet {
            Packet::Publish(publish) => {
                let reply = (publish.qos == QoS::AtLeastOnce).then(|| Packet::PubAck(PubAck::new(publish.pkid)));
                (reply, self.published(&publish))
            }
            Packet::SubAck(answer) if self.subscribing == Some(answer.pkid) => {
                self.subscribing = None;
                let refused = answer.return_codes.contains(&SubscribeReasonCode::Failure);
                (
                    None,
                    Some(if refused {
                        Event::NotSubscribed
                    } else {
                        Event::Subscribed
                    }),
                )
            }
            Packet::PubAck(answer) => {
                let place = self.messages.iter().position(|message| message.pkid == answer.pkid);
                let taken = place.and_then(|place| self.messages.remove(place));
                (None, taken.map(|message| Event::MessageTaken { ticket: message.pkid }))
            }
            _ => (None, None),
        }
    }

    fn published(&mut self, publish: &Publish) -> Option<Event> {
        match ToDevice::parse(&publish.topic)? {
            ToDevice::MethodRequest { name, request_id } => Some(Event::Method(MethodCall {
                name,
                request_id: request_id.to_owned(),
                payload: json(&publish.payload),
            })),
            ToDevice::TwinResponse { status, request_id, .. } => {
                let request = request_id.parse().ok()?;
                if self.getting_twin == Some(request) {
                    self.getting_twin = None;
                    return self.twin(status, &publish.payload);
                }
                let place = self.reports.iter().position(|report| report.ticket == request)?;
                self.reports.remove(place);
                let outcome = if status < 300 { Ok(()) } else { Err(status) };
                Some(Event::ReportAnswered {
                    ticket: request,
                    outcome,
                })
            }
            ToDevice::DesiredPatch { version } => self.desired(version, &publish.payload),
            ToDevice::CloudToDevice { .. } => None,
        }
    }

    fn twin(&mut self, status: u16, body: &[u8]) -> Option<Event> {
        if status != 200 {
            return None;
        }
        let mut twin = json(body);
        if let Some(version) = twin["desired"]["$version"].as_u64() {
            self.desired_version = self.desired_version.max(version);
        }
        match (twin["desired"].take(), twin["reported"].take()) {
            (Value::Object(desired), Value::Object(mut reported)) => {
                reported.remove("$version");
                Some(Event::Twin { desired, reported })
            }
            _ => None,
        }
    }

    /// The answer to a GET and a notification may overtake each other: only news counts.
    fn desired(&mut self, version: u64, body: &[u8]) -> Option<Event> {
        if version <= self.desired_version {
            return None;
        }
        self.desired_version = version;
        match json(body) {
            Value::Object(patch) => Some(Event::Desired(patch)),
            _ => None,
        }
    }

    fn packet_id(&mut self) -> u16 {
        loop {
            self.last_packet = self.last_packet.checked_add(1).unwrap_or(1);
            if self.messages.iter().all(|message| message.pkid != self.last_packet) {
                return self.last_packet;
            }
        }
    }

    fn request_id(&mut self) -> u32 {
        self.last_request = self.last_request.wrapping_add(1);
        self.last_request
    }
}

fn report_packet(report: &Report) -> Packet {
    publish(topic::reported_patch(&report.ticket.to_string()), report.body.clone())
}

fn publish(topic: String, body: Bytes) -> Packet {
    Packet::Publish(Publish::from_bytes(topic, QoS::AtMostOnce, body))
}

/// An empty or unreadable body is null, as for a method called without a payload.
fn json(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or(Value::Null)
}

#[cfg(test)]
mod tests {
    use rumqttc::mqttbytes::v4::SubAck;
    use serde_json::json;

    use super::*;

    fn from_hub(topic: String, body: &str) -> Packet {
        Packet::Publish(Publish::new(topic, QoS::AtMostOnce, body))
    }

    fn topics(packets: &[Packet]) -> Vec<String> {
        let topic = |packet: &Packet| match packet {
            Packet::Publish(publish) => publish.topic.clone(),
            Packet::Subscribe(subscribe) => subscribe
                .filters
                .iter()
                .map(|filter| filter.path.clone() + " ")
                .collect(),
            other => format!("{other:?}"),
        };
        packets.iter().map(topic).collect()
    }

    fn event(session: &mut Session, packet: Packet) -> Option<Event> {
        session.received(packet).1
    }

    #[test]
    fn a_new_connection_subscribes_and_asks_for_the_twin() {
        let mut session = Session::new("pump");
        let said = topics(&session.connected());
        assert_eq!(said.len(), 2);
        assert!(said[0].contains("$iothub/methods/POST/#") && said[0].contains("$iothub/twin/res/#"));
        assert_eq!(said[1], "$iothub/twin/GET/?$rid=1");
        assert!(session.awaits_answer());
    }

    #[test]
    fn it_is_subscribed_once_the_hub_granted_every_filter() {
        let mut session = Session::new("pump");
        session.connected();
        let granted = SubscribeReasonCode::Success(QoS::AtLeastOnce);
        let other = Packet::SubAck(SubAck::new(9, vec![granted]));
        assert_eq!(event(&mut session, other), None);
        let refused = Packet::SubAck(SubAck::new(1, vec![granted, SubscribeReasonCode::Failure]));
        assert_eq!(event(&mut session, refused), Some(Event::NotSubscribed));
    }

    #[test]
    fn a_method_call_is_read_and_its_empty_body_is_null() {
        let mut session = Session::new("pump");
        let packet = from_hub(topic::method_request("rebootDevice", "7f"), "");
        let expected = MethodCall {
            name: "rebootDevice".into(),
            request_id: "7f".into(),
            payload: Value::Null,
        };
        assert_eq!(event(&mut session, packet), Some(Event::Method(expected)));
        let answer = Session::respond("7f", 200, Bytes::from_static(b"{}"));
        assert_eq!(topics(&[answer]), ["$iothub/methods/res/200/?$rid=7f"]);
    }

    #[test]
    fn unanswered_reports_are_sent_again_in_order_after_a_reconnect() {
        let mut session = Session::new("pump");
        let (first, _) = session.report(Bytes::from_static(b"{\"a\":1}"));
        let (second, _) = session.report(Bytes::from_static(b"{\"a\":2}"));
        let (third, _) = session.report(Bytes::from_static(b"{\"a\":3}"));
        let answer = from_hub(topic::twin_response(204, &second.to_string(), Some(5)), "");
        assert_eq!(
            event(&mut session, answer),
            Some(Event::ReportAnswered {
                ticket: second,
                outcome: Ok(())
            })
        );
        let again = topics(&session.connected());
        assert_eq!(
            again[2..],
            [first, third].map(|id| topic::reported_patch(&id.to_string()))
        );
    }

    #[test]
    fn a_refused_report_tells_the_hub_s_status_and_is_not_repeated() {
        let mut session = Session::new("pump");
        let (ticket, _) = session.report(Bytes::from_static(b"{}"));
        let answer = from_hub(
            topic::twin_response(400, &ticket.to_string(), None),
            "{\"errorCode\":400004}",
        );
        assert_eq!(
            event(&mut session, answer),
            Some(Event::ReportAnswered {
                ticket,
                outcome: Err(400)
            })
        );
        assert_eq!(session.connected().len(), 2);
    }

    #[test]
    fn messages_are_repeated_as_duplicates_until_they_are_taken() {
        let mut session = Session::new("pump");
        let (ticket, _) = session.message(Bytes::from_static(b"{}"));
        let again = session.connected();
        assert!(matches!(again.last(), Some(Packet::Publish(publish)) if publish.dup && publish.pkid == ticket));
        let taken = event(&mut session, Packet::PubAck(PubAck::new(ticket)));
        assert_eq!(taken, Some(Event::MessageTaken { ticket }));
        assert_eq!(event(&mut session, Packet::PubAck(PubAck::new(ticket))), None);
    }

    #[test]
    fn the_twin_tells_what_was_reported_and_old_desired_patches_are_passed_over() {
        let mut session = Session::new("pump");
        session.connected();
        let twin = json!({"desired": {"$version": 4}, "reported": {"fw": "1", "$version": 9}}).to_string();
        let answer = from_hub(topic::twin_response(200, "1", None), &twin);
        let Some(Event::Twin { desired, reported }) = event(&mut session, answer) else {
            panic!("no twin")
        };
        assert_eq!(Value::from(desired), json!({"$version": 4}));
        assert_eq!(Value::from(reported), json!({"fw": "1"}));
        assert_eq!(event(&mut session, from_hub(topic::desired_patch(4), "{}")), None);
        let patch = from_hub(topic::desired_patch(5), r#"{"a": 1, "$version": 5}"#);
        let Some(Event::Desired(patch)) = event(&mut session, patch) else {
            panic!("no change")
        };
        assert_eq!(Value::from(patch), json!({"a": 1, "$version": 5}));
    }

    #[test]
    fn queues_are_bounded() {
        let mut session = Session::new("pump");
        for _ in 0..MAX_WAITING {
            assert!(session.has_room());
            session.report(Bytes::new());
        }
        assert!(!session.has_room());
    }

    #[test]
    fn packets_that_are_not_understood_are_passed_over() {
        let mut session = Session::new("pump");
        for packet in [
            from_hub("$iothub/new/thing".into(), "x"),
            Packet::PingResp,
            Packet::Disconnect,
        ] {
            assert_eq!(session.received(packet), (None, None));
        }
    }

    #[test]
    fn packet_ids_skip_zero_and_those_in_use() {
        let mut session = Session::new("pump");
        let (held, _) = session.message(Bytes::new());
        session.last_packet = u16::MAX;
        assert_eq!(held, 1);
        assert_eq!(session.packet_id(), 2);
    }
}

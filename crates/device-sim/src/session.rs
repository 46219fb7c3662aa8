//! What a device knows of its MQTT conversation. No I/O: packets and wishes in, packets and
//! events out.
//!
//! Twin requests and method responses go out with QoS 0, as Microsoft's Node and C SDKs do: their
//! acknowledgement is the hub's answer on a twin topic. Telemetry goes out with QoS 1. Reports and
//! telemetry outlive a connection and are sent again, in order, on the next.

use std::collections::VecDeque;

use bytes::Bytes;
use hub_protocol::{
    Timestamp,
    merge::Object,
    topic::{self, ToDevice},
};
use rumqttc::mqttbytes::{
    QoS,
    v4::{Packet, PubAck, Publish, Subscribe, SubscribeFilter, SubscribeReasonCode},
};
use serde_json::Value;

use crate::outbox::Outbox;

/// Reports that wait for the hub.
const MAX_REPORTS: usize = 5;

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
    /// The twin that was asked for, without `$metadata`; `desired` has its `$version`.
    Twin {
        desired: Object,
        reported: Object,
    },
    /// The hub gave no twin, with its status.
    NoTwin(u16),
    /// The next change of the desired properties, with its `$version`.
    Desired(Object),
    Method(MethodCall),
    /// The answer to a report, or the hub's status.
    ReportAnswered {
        ticket: u32,
        outcome: Result<(), u16>,
    },
    MessageTaken {
        ticket: u32,
    },
}

/// What one packet leads to: what to answer at once, and what it means. Both may be nothing:
/// packets and topics not understood are passed over, as a hub may learn new ones.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Received {
    pub(crate) replies: Vec<Packet>,
    pub(crate) event: Option<Event>,
}

impl From<Event> for Received {
    fn from(event: Event) -> Self {
        Self {
            replies: Vec::new(),
            event: Some(event),
        }
    }
}

struct Report {
    ticket: u32,
    body: Bytes,
}

#[derive(Default)]
pub(crate) struct Session {
    device_id: Box<str>,
    wants_twin: bool,
    is_connected: bool,
    last_packet: u16,
    last_request: u32,
    /// Packet id of the SUBSCRIBE that is not yet answered.
    subscribing: Option<u16>,
    getting_twin: Option<u32>,
    /// Of the desired properties as the device last heard of them; 0 before it did.
    desired_version: u64,
    /// The newest version of a change that was passed over because another was missing.
    missed_version: u64,
    reports: VecDeque<Report>,
    outbox: Outbox,
}

impl Session {
    /// A device that does not want its twin never asks for it, and hears of no desired change.
    pub(crate) fn new(device_id: &str, wants_twin: bool) -> Self {
        Self {
            device_id: device_id.into(),
            wants_twin,
            ..Self::default()
        }
    }

    /// What to say first on a new connection. Filters are subscribed to again although the hub
    /// keeps them: it may have lost them, and it costs one packet.
    pub(crate) fn connected(&mut self) -> Vec<Packet> {
        self.is_connected = true;
        let mut subscribe = Subscribe::new_many(
            [topic::METHODS, topic::TWIN_RESPONSES, topic::DESIRED_PATCHES]
                .map(|filter| SubscribeFilter::new(filter.into(), QoS::AtLeastOnce)),
        );
        subscribe.pkid = self.packet_id();
        self.subscribing = Some(subscribe.pkid);
        let mut packets = vec![Packet::Subscribe(subscribe)];
        self.getting_twin = None;
        if self.wants_twin {
            packets.push(self.ask_twin());
        }
        packets.extend(self.reports.iter().map(report_packet));
        self.outbox.connected();
        packets.extend(self.messages());
        packets
    }

    pub(crate) fn disconnected(&mut self) {
        self.is_connected = false;
    }

    /// A power cut: what was only in its head is gone. Stored telemetry is not.
    pub(crate) fn forget(&mut self) {
        self.reports.clear();
        self.desired_version = 0;
        self.missed_version = 0;
    }

    pub(crate) fn ask_twin(&mut self) -> Packet {
        let request = self.request_id();
        self.getting_twin = Some(request);
        publish(topic::twin_get(&request.to_string()), Bytes::new())
    }

    pub(crate) fn wants_twin(&self) -> bool {
        self.wants_twin
    }

    /// Whether another report may be given.
    pub(crate) fn has_room(&self) -> bool {
        self.reports.len() < MAX_REPORTS
    }

    /// Whether the hub owes an answer: silence then means that the connection is dead.
    pub(crate) fn awaits_answer(&self) -> bool {
        self.subscribing.is_some()
            || self.getting_twin.is_some()
            || !self.reports.is_empty()
            || self.outbox.awaits_answer()
    }

    /// The packet need not be sent while there is no connection: it goes out on the next.
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

    /// Stores telemetry; [`messages`](Self::messages) sends it. Returns its ticket, and the
    /// tickets of older messages that were dropped for it.
    pub(crate) fn store(&mut self, body: Bytes, created: Timestamp) -> (u32, Vec<u32>) {
        self.outbox.push(body, created, self.is_connected)
    }

    pub(crate) fn stored(&self) -> usize {
        self.outbox.len()
    }

    /// Stored telemetry that may be sent now.
    pub(crate) fn messages(&mut self) -> Vec<Packet> {
        let mut packets = Vec::new();
        if !self.is_connected {
            return packets;
        }
        while let Some(publish) = {
            let last = &mut self.last_packet;
            self.outbox.next(&self.device_id, |outbox| packet_id(last, outbox))
        } {
            packets.push(Packet::Publish(publish));
        }
        packets
    }

    pub(crate) fn respond(request_id: &str, status: i32, body: Bytes) -> Packet {
        publish(topic::method_response(status, request_id), body)
    }

    pub(crate) fn received(&mut self, packet: Packet) -> Received {
        match packet {
            Packet::Publish(publish) => {
                let mut received = self.published(&publish);
                if publish.qos == QoS::AtLeastOnce {
                    received.replies.insert(0, Packet::PubAck(PubAck::new(publish.pkid)));
                }
                received
            }
            Packet::SubAck(answer) if self.subscribing == Some(answer.pkid) => {
                self.subscribing = None;
                if answer.return_codes.contains(&SubscribeReasonCode::Failure) {
                    Event::NotSubscribed.into()
                } else {
                    Event::Subscribed.into()
                }
            }
            Packet::PubAck(answer) => {
                let taken = self.outbox.taken(answer.pkid);
                Received {
                    replies: self.messages(),
                    event: taken.map(|ticket| Event::MessageTaken { ticket }),
                }
            }
            _ => Received::default(),
        }
    }

    fn published(&mut self, publish: &Publish) -> Received {
        match ToDevice::parse(&publish.topic) {
            Some(ToDevice::MethodRequest { name, request_id }) => Event::Method(MethodCall {
                name,
                request_id: request_id.to_owned(),
                payload: json(&publish.payload),
            })
            .into(),
            Some(ToDevice::TwinResponse { status, request_id, .. }) => {
                self.answered(request_id.parse().ok(), status, &publish.payload)
            }
            Some(ToDevice::DesiredPatch { version }) if self.wants_twin => self.desired(version, &publish.payload),
            Some(ToDevice::DesiredPatch { .. } | ToDevice::CloudToDevice { .. }) | None => Received::default(),
        }
    }

    fn answered(&mut self, request: Option<u32>, status: u16, body: &[u8]) -> Received {
        if self.getting_twin.is_some() && self.getting_twin == request {
            self.getting_twin = None;
            return self.twin(status, body);
        }
        let place = self.reports.iter().position(|report| Some(report.ticket) == request);
        let Some(report) = place.and_then(|place| self.reports.remove(place)) else {
            return Received::default();
        };
        Event::ReportAnswered {
            ticket: report.ticket,
            outcome: if status < 300 { Ok(()) } else { Err(status) },
        }
        .into()
    }

    fn twin(&mut self, status: u16, body: &[u8]) -> Received {
        if status != 200 {
            return Event::NoTwin(status).into();
        }
        let mut twin = json(body);
        let mut section = |name: &str| match twin[name].take() {
            Value::Object(mut section) => {
                section.remove("$metadata");
                section
            }
            _ => Object::new(),
        };
        let (desired, mut reported) = (section("desired"), section("reported"));
        reported.remove("$version");
        let version = desired.get("$version").and_then(Value::as_u64).unwrap_or_default();
        self.desired_version = version;
        let mut received = Received::from(Event::Twin { desired, reported });
        // A change overtook this answer.
        if self.missed_version > version {
            received.replies.push(self.ask_twin());
        }
        received
    }

    /// Changes are handed on one after the other. Where one is missing, the whole twin is asked
    /// for instead.
    fn desired(&mut self, version: u64, body: &[u8]) -> Received {
        if version <= self.desired_version {
            return Received::default();
        }
        if self.getting_twin.is_none() && version == self.desired_version + 1 {
            let Value::Object(mut patch) = json(body) else {
                return Received::default();
            };
            self.desired_version = version;
            patch.insert("$version".into(), version.into());
            return Event::Desired(patch).into();
        }
        self.missed_version = self.missed_version.max(version);
        Received {
            replies: match self.getting_twin {
                Some(_) => Vec::new(),
                None => vec![self.ask_twin()],
            },
            event: None,
        }
    }

    fn packet_id(&mut self) -> u16 {
        packet_id(&mut self.last_packet, &self.outbox)
    }

    fn request_id(&mut self) -> u32 {
        self.last_request = self.last_request.wrapping_add(1);
        self.last_request
    }
}

/// The next that is neither zero nor in use.
fn packet_id(last: &mut u16, outbox: &Outbox) -> u16 {
    loop {
        *last = last.checked_add(1).unwrap_or(1);
        if !outbox.uses(*last) {
            return *last;
        }
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
        session.received(packet).event
    }

    #[test]
    fn a_new_connection_subscribes_and_asks_for_the_twin() {
        let mut session = Session::new("pump", true);
        let said = topics(&session.connected());
        assert_eq!(said.len(), 2);
        assert!(said[0].contains("$iothub/methods/POST/#") && said[0].contains("$iothub/twin/res/#"));
        assert_eq!(said[1], "$iothub/twin/GET/?$rid=1");
        assert!(session.awaits_answer());
    }

    #[test]
    fn it_is_subscribed_once_the_hub_granted_every_filter() {
        let mut session = Session::new("pump", true);
        session.connected();
        let granted = SubscribeReasonCode::Success(QoS::AtLeastOnce);
        let other = Packet::SubAck(SubAck::new(9, vec![granted]));
        assert_eq!(event(&mut session, other), None);
        let refused = Packet::SubAck(SubAck::new(1, vec![granted, SubscribeReasonCode::Failure]));
        assert_eq!(event(&mut session, refused), Some(Event::NotSubscribed));
    }

    #[test]
    fn a_method_call_is_read_and_its_empty_body_is_null() {
        let mut session = Session::new("pump", true);
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
        let mut session = Session::new("pump", true);
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
        let mut session = Session::new("pump", true);
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
        let mut session = Session::new("pump", false);
        session.connected();
        let (ticket, _) = session.store(Bytes::from_static(b"{}"), Timestamp::NEVER);
        let Some(Packet::Publish(sent)) = session.messages().pop() else {
            panic!("nothing was sent")
        };
        assert!(session.messages().is_empty(), "it is on its way");
        let again = session.connected();
        assert!(matches!(again.last(), Some(Packet::Publish(publish)) if publish.dup && publish.pkid == sent.pkid));
        let taken = event(&mut session, Packet::PubAck(PubAck::new(sent.pkid)));
        assert_eq!(taken, Some(Event::MessageTaken { ticket }));
        assert_eq!(event(&mut session, Packet::PubAck(PubAck::new(sent.pkid))), None);
    }

    #[test]
    fn messages_wait_for_a_connection() {
        let mut session = Session::new("pump", false);
        session.store(Bytes::from_static(b"{}"), Timestamp::NEVER);
        assert!(session.messages().is_empty() && !session.awaits_answer());
        assert_eq!(session.connected().len(), 2);
    }

    fn twin(session: &mut Session, version: u64) -> Received {
        let request = session.getting_twin.unwrap().to_string();
        let body = json!({
            "desired": { "level": version, "$version": version, "$metadata": {} },
            "reported": { "fw": "1", "$version": 9, "$metadata": {} },
        });
        session.received(from_hub(topic::twin_response(200, &request, None), &body.to_string()))
    }

    fn patch(session: &mut Session, version: u64) -> Received {
        let body = json!({ "level": version, "$version": version }).to_string();
        session.received(from_hub(topic::desired_patch(version), &body))
    }

    fn desired(version: u64) -> Event {
        let Value::Object(patch) = json!({ "level": version, "$version": version }) else {
            panic!()
        };
        Event::Desired(patch)
    }

    #[test]
    fn the_twin_is_handed_on_without_metadata_and_then_each_change_once() {
        let mut session = Session::new("pump", true);
        session.connected();
        let Some(Event::Twin {
            desired: whole,
            reported,
        }) = twin(&mut session, 4).event
        else {
            panic!("no twin")
        };
        assert_eq!(Value::from(whole), json!({ "level": 4, "$version": 4 }));
        assert_eq!(Value::from(reported), json!({ "fw": "1" }));
        assert_eq!(patch(&mut session, 4), Received::default(), "it is in the twin");
        assert_eq!(patch(&mut session, 5).event, Some(desired(5)));
        assert_eq!(patch(&mut session, 5), Received::default());
        assert_eq!(patch(&mut session, 6).event, Some(desired(6)));
    }

    #[test]
    fn a_change_that_was_missed_makes_it_ask_for_the_twin() {
        let mut session = Session::new("pump", true);
        session.connected();
        twin(&mut session, 4);
        let received = patch(&mut session, 6);
        assert_eq!(received.event, None);
        assert!(topics(&received.replies)[0].starts_with("$iothub/twin/GET/"));
        assert!(matches!(twin(&mut session, 6).event, Some(Event::Twin { .. })));
        assert_eq!(patch(&mut session, 7).event, Some(desired(7)));
    }

    #[test]
    fn a_change_that_overtakes_the_twin_is_not_lost() {
        let mut session = Session::new("pump", true);
        session.connected();
        assert_eq!(patch(&mut session, 5), Received::default());
        let older = twin(&mut session, 4);
        assert!(matches!(older.event, Some(Event::Twin { .. })));
        assert_eq!(older.replies.len(), 1, "asked again");
        let newer = twin(&mut session, 5);
        assert!(newer.replies.is_empty());
        assert_eq!(patch(&mut session, 6).event, Some(desired(6)));
    }

    #[test]
    fn a_device_that_does_not_want_its_twin_is_spared_it() {
        let mut session = Session::new("pump", false);
        assert_eq!(session.connected().len(), 1);
        assert_eq!(patch(&mut session, 5), Received::default());
    }

    #[test]
    fn a_twin_that_is_refused_tells_the_hub_s_status() {
        let mut session = Session::new("pump", true);
        session.connected();
        let answer = from_hub(topic::twin_response(429, "1", None), "");
        assert_eq!(event(&mut session, answer), Some(Event::NoTwin(429)));
    }

    #[test]
    fn a_power_cut_loses_reports_and_keeps_telemetry() {
        let mut session = Session::new("pump", false);
        session.report(Bytes::new());
        session.store(Bytes::from_static(b"{}"), Timestamp::NEVER);
        session.forget();
        let packets = session.connected();
        assert!(topics(&packets)[1].starts_with("devices/pump/messages/events/"));
        assert_eq!(packets.len(), 2);
    }

    #[test]
    fn reports_are_bounded() {
        let mut session = Session::new("pump", true);
        for _ in 0..MAX_REPORTS {
            assert!(session.has_room());
            session.report(Bytes::new());
        }
        assert!(!session.has_room());
    }

    #[test]
    fn packets_that_are_not_understood_are_passed_over() {
        let mut session = Session::new("pump", true);
        for packet in [
            from_hub("$iothub/new/thing".into(), "x"),
            Packet::PingResp,
            Packet::Disconnect,
        ] {
            assert_eq!(session.received(packet), Received::default());
        }
    }

    #[test]
    fn packet_ids_skip_zero_and_those_in_use() {
        let mut session = Session::new("pump", false);
        session.is_connected = true;
        session.store(Bytes::new(), Timestamp::NEVER);
        assert_eq!(session.messages().len(), 1);
        session.last_packet = u16::MAX;
        assert_eq!(session.packet_id(), 2);
    }
}

//! An open connection of a device or module: it reads, acts on the hub and answers, in order.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use hub_protocol::{ErrorCode, HubError, merge::Object, topic};
use rumqttc::{
    QoS,
    mqttbytes::v4::{ConnAck, ConnectReturnCode, Packet, PubAck, Publish, SubAck, UnsubAck},
};
use tokio::{
    sync::mpsc,
    time::{Instant, Sleep, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    End,
    deliveries::Deliveries,
    packet::{self, Command, Message, Request, interpret},
    wire::Wire,
};
use crate::{
    hub::{Hub, now},
    log::Sender,
    rest::tracking_id,
    sessions::{Outgoing, Session},
};

/// Answers that may wait while packets that came together are handled.
const MAX_QUEUED: usize = 64 * 1024;

pub(super) struct Connection {
    pub hub: Hub,
    pub sender: Arc<Sender>,
    pub session: Arc<Session>,
    pub inbox: mpsc::Receiver<Outgoing>,
    pub deliveries: Deliveries,
    pub keeps_session: bool,
    /// When its token ends; never for a certificate.
    pub expires: Option<Instant>,
    pub silence: Duration,
    /// Sent when the device is lost, and not when it says goodbye.
    pub will: Option<Box<Message>>,
    pub session_present: bool,
    /// The hub's end.
    pub stop: CancellationToken,
}

impl Connection {
    pub(super) async fn run(mut self, mut wire: Wire) {
        let end = match self.welcome(&mut wire).await {
            Ok(()) => self.exchange(&mut wire).await,
            Err(end) => end,
        };
        tracing::debug!(client = %self.sender.id, "connection ended: {end}");
        wire.ended(&end);
        // A device is not lost when the hub itself goes.
        let lost = !matches!(end, End::Disconnected) && !self.stop.is_cancelled();
        if let Some(will) = self.will.take().filter(|_| lost) {
            let taken = self.hub.telemetry(&self.sender, will.properties, will.body).await;
            if let Err(error) = taken {
                tracing::warn!(client = %self.sender.id, "a will could not be kept: {error}");
            }
        }
        wire.close().await;
        // A newer connection of the same device may already have taken this one's place.
        if self.hub.sessions().remove(&self.sender.id, &self.session) {
            self.hub.disconnect(&self.sender.id).await;
        }
    }

    async fn welcome(&self, wire: &mut Wire) -> Result<(), End> {
        let welcome = ConnAck::new(ConnectReturnCode::Success, self.session_present);
        wire.queue(&Packet::ConnAck(welcome))?;
        self.flush(wire).await
    }

    async fn exchange(&mut self, wire: &mut Wire) -> End {
        let session = self.session.clone();
        // Both wait in a list as long as the connection lives, not anew for each packet.
        let closed = session.close.cancelled();
        tokio::pin!(closed);
        let messages = session.messages.notified();
        tokio::pin!(messages);
        let mut heard = Instant::now();
        // One timer for silence and expiry: it is looked at when it rings, not moved for each packet.
        let alarm = sleep_until(self.deadline(heard));
        tokio::pin!(alarm);
        loop {
            // Answers to packets that came together leave together, within bounds.
            let more = match wire.next() {
                Ok(Some(packet)) => match self.handle(wire, packet).await {
                    Ok(()) => true,
                    Err(end) => return end,
                },
                Ok(None) => false,
                Err(end) => return end,
            };
            let waiting = wire.queued();
            let due = waiting >= MAX_QUEUED || (waiting > 0 && !more);
            if due && let Err(end) = self.flush(wire).await {
                return end;
            }
            if more {
                continue;
            }
            let step = tokio::select! {
                () = closed.as_mut() => Err(End::Kicked),
                filled = wire.fill() => {
                    heard = Instant::now();
                    filled
                }
                Some(message) = self.inbox.recv() => publish(wire, message),
                () = messages.as_mut() => {
                    messages.set(session.messages.notified());
                    // Boxed, as requests are.
                    Box::pin(self.deliver(wire)).await
                }
                () = alarm.as_mut() => self.rung(alarm.as_mut(), heard),
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    fn deadline(&self, heard: Instant) -> Instant {
        let silent = heard + self.silence;
        self.expires.map_or(silent, |expires| expires.min(silent))
    }

    fn rung(&self, alarm: std::pin::Pin<&mut Sleep>, heard: Instant) -> Result<(), End> {
        let now = Instant::now();
        if self.expires.is_some_and(|expires| expires <= now) {
            return Err(End::TokenExpired);
        }
        if heard + self.silence <= now {
            return Err(End::Silent(self.silence));
        }
        alarm.reset(self.deadline(heard));
        Ok(())
    }

    /// A device that does not take what it is sent is as good as silent.
    pub(super) async fn flush(&self, wire: &mut Wire) -> Result<(), End> {
        tokio::select! {
            // Nearly always done at once.
            biased;
            flushed = timeout(self.silence, wire.flush()) => match flushed {
                Ok(flushed) => Ok(flushed?),
                Err(_) => Err(End::Silent(self.silence)),
            },
            () = self.session.close.cancelled() => Err(End::Kicked),
        }
    }

    async fn handle(&mut self, wire: &mut Wire, packet: Packet) -> Result<(), End> {
        match interpret(&packet, &self.sender.id)? {
            Command::Telemetry { message, acknowledge } => {
                if self.hub.limiter().is_some() {
                    let metered = self.hub.meter(message.body.len() + message.properties.size());
                    Box::pin(metered).await.map_err(End::Hub)?;
                }
                let taken = self.hub.telemetry(&self.sender, message.properties, message.body).await;
                taken.map_err(End::Hub)?;
                acknowledged(wire, acknowledge)
            }
            Command::MethodResponse {
                request_id,
                status,
                body,
                acknowledge,
            } => {
                self.hub.method_answered(&self.sender.id, request_id, status, body);
                acknowledged(wire, acknowledge)
            }
            Command::Ping => wire.queue(&Packet::PingResp),
            Command::Acknowledged { packet_id } => Box::pin(self.settle(packet_id)).await,
            Command::Disconnect => Err(End::Disconnected),
            // Boxed: a rare, large future would otherwise sit in every idle connection.
            Command::Request(request) => Box::pin(self.answer(wire, request)).await,
        }
    }

    async fn answer(&self, wire: &mut Wire, request: Request<'_>) -> Result<(), End> {
        let id = &self.sender.id;
        match request {
            Request::TwinGet {
                request_id,
                acknowledge,
            } => {
                acknowledged(wire, acknowledge)?;
                let twin = self.hub.twin(id).await;
                let answer = twin.map(|twin| packet::twin_for_device(&twin));
                self.answer_twin(wire, request_id, 200, None, answer)
            }
            Request::ReportedPatch {
                request_id,
                body,
                acknowledge,
            } => {
                let result = match serde_json::from_slice::<Object>(body) {
                    Ok(patch) => self.hub.report(id, patch).await,
                    Err(error) => {
                        let text = format!("The patch is not a JSON object: {error}");
                        Err(HubError::new(ErrorCode::ArgumentInvalid, text))
                    }
                };
                acknowledged(wire, acknowledge)?;
                let Some(request_id) = request_id else { return Ok(()) };
                let version = result.as_ref().ok().copied();
                self.answer_twin(wire, request_id, 204, version, result.map(|_| Bytes::new()))
            }
            Request::Subscribe { packet_id, asked } => {
                let changed = self.session.changed(&asked);
                if self.keeps_session && !changed.is_empty() {
                    self.hub.subscribe_device(id, changed).await.map_err(End::Hub)?;
                }
                wire.queue(&Packet::SubAck(SubAck::new(packet_id, packet::granted(&asked))))?;
                // The SUBACK is on its way before anything that matches can be.
                self.session.subscribe(&asked);
                self.session.messages.notify_one();
                self.hub.sessions().subscriptions_changed();
                Ok(())
            }
            Request::Unsubscribe { packet_id, filters } => {
                self.session.unsubscribe(&filters);
                if self.keeps_session && !filters.is_empty() {
                    self.hub.unsubscribe_device(id, filters).await.map_err(End::Hub)?;
                }
                wire.queue(&Packet::UnsubAck(UnsubAck::new(packet_id)))
            }
        }
    }

    /// Answers a twin request, if the device listens for answers.
    fn answer_twin(
        &self,
        wire: &mut Wire,
        request_id: &str,
        status: u16,
        version: Option<u64>,
        body: Result<Bytes, HubError>,
    ) -> Result<(), End> {
        if !self.session.is_subscribed(topic::Filter::TwinResponses) {
            return Ok(());
        }
        let (status, payload) = match body {
            Ok(body) => (status, body),
            Err(error) => (
                error.code.status(),
                error.twin_body(&tracking_id(), now()).to_string().into(),
            ),
        };
        publish(
            wire,
            Outgoing {
                topic: topic::twin_response(status, request_id, version),
                payload,
            },
        )
    }
}

fn acknowledged(wire: &mut Wire, packet_id: Option<u16>) -> Result<(), End> {
    packet_id.map_or(Ok(()), |id| wire.queue(&Packet::PubAck(PubAck::new(id))))
}

fn publish(wire: &mut Wire, message: Outgoing) -> Result<(), End> {
    let publish = Publish::from_bytes(message.topic, QoS::AtMostOnce, message.payload);
    wire.queue(&Packet::Publish(publish))
}

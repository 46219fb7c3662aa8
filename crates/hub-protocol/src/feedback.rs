//! Feedback: what became of a message to a device, told to the service that asked for it.

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// Content type of a batch of [`FeedbackRecord`]s (device.md 4.3).
pub const CONTENT_TYPE: &str = "application/vnd.microsoft.iothub.feedback.json";

/// What a sender wants to hear about its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ack {
    #[default]
    None,
    /// That it was completed.
    Positive,
    /// That it was not.
    Negative,
    Full,
}

impl Ack {
    /// Of the message's property `iothub-ack`; letter case does not matter.
    pub fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "none" => Some(Self::None),
            "positive" => Some(Self::Positive),
            "negative" => Some(Self::Negative),
            "full" => Some(Self::Full),
            _ => None,
        }
    }

    pub fn wants(self, outcome: Outcome) -> bool {
        match self {
            Self::None => false,
            Self::Positive => outcome == Outcome::Success,
            Self::Negative => outcome != Outcome::Success,
            Self::Full => true,
        }
    }
}

/// How a message left its device's queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Outcome {
    Success,
    Expired,
    DeliveryCountExceeded,
    Rejected,
    Purged,
}

impl Outcome {
    /// What the record's description says.
    pub fn description(self) -> &'static str {
        match self {
            Self::Success => "Success",
            Self::Expired => "Message expired",
            Self::DeliveryCountExceeded => "Message exceeded its delivery count",
            Self::Rejected => "Message rejected",
            Self::Purged => "Message purged",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FeedbackRecord {
    /// Null for a message that was sent without an id.
    pub original_message_id: Option<String>,
    /// When the message met its outcome.
    pub enqueued_time_utc: Timestamp,
    pub status_code: Outcome,
    pub description: String,
    pub device_id: String,
    pub device_generation_id: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_ack_asks_for_its_outcomes() {
        let wanted = |text: &str| {
            let ack = Ack::parse(text).unwrap();
            [Outcome::Success, Outcome::Expired, Outcome::Purged].map(|outcome| ack.wants(outcome))
        };
        assert_eq!(wanted("none"), [false, false, false]);
        assert_eq!(wanted("positive"), [true, false, false]);
        assert_eq!(wanted("Negative"), [false, true, true]);
        assert_eq!(wanted("FULL"), [true, true, true]);
        assert_eq!(Ack::parse("sometimes"), None);
    }

    #[test]
    fn a_record_has_the_wires_names() {
        let record = FeedbackRecord {
            original_message_id: Some("m".into()),
            enqueued_time_utc: Timestamp::parse("2030-01-01T00:00:05.123Z").unwrap(),
            status_code: Outcome::Success,
            description: Outcome::Success.description().into(),
            device_id: "d".into(),
            device_generation_id: "1".into(),
        };
        let text = r#"{"originalMessageId":"m","enqueuedTimeUtc":"2030-01-01T00:00:05.1230000Z","statusCode":"Success","description":"Success","deviceId":"d","deviceGenerationId":"1"}"#;
        assert_eq!(serde_json::to_string(&record).unwrap(), text);
    }
}

//! Direct methods.

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::Value;

/// Bytes a payload may have, each way.
pub const MAX_PAYLOAD: usize = 128 * 1024;
pub const RESPONSE_TIMEOUT: std::ops::RangeInclusive<u32> = 5..=300;
pub const CONNECT_TIMEOUT: std::ops::RangeInclusive<u32> = 0..=300;
pub const DEFAULT_RESPONSE_TIMEOUT: u32 = 30;

/// Body of `POST /twins/{id}/methods`. Some clients send the timeouts as texts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MethodRequest {
    pub method_name: String,
    #[serde(default)]
    pub payload: Value,
    #[serde(default = "default_response", deserialize_with = "timeout")]
    pub response_timeout_in_seconds: u32,
    #[serde(default, deserialize_with = "timeout")]
    pub connect_timeout_in_seconds: u32,
}

/// What the device answered. `status` is the device's own number, not HTTP's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MethodResponse {
    pub status: i32,
    #[serde(default)]
    pub payload: Value,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMethod {
    #[error("a method name has 1 to 100 printable ASCII characters and no / # + ? %")]
    Name,
    #[error("the response timeout must be 5 to 300 seconds, not {0}")]
    ResponseTimeout(u32),
    #[error("the connect timeout must be 0 to 300 seconds, not {0}")]
    ConnectTimeout(u32),
    #[error("the connect timeout ({connect} s) may not be longer than the response timeout ({response} s)")]
    ConnectLongerThanResponse { connect: u32, response: u32 },
    #[error("the payload has {0} bytes, the limit is 131072")]
    PayloadSize(usize),
}

impl MethodRequest {
    pub fn new(method_name: impl Into<String>, payload: Value) -> Self {
        Self {
            method_name: method_name.into(),
            payload,
            response_timeout_in_seconds: DEFAULT_RESPONSE_TIMEOUT,
            connect_timeout_in_seconds: 0,
        }
    }

    pub fn check(&self) -> Result<(), InvalidMethod> {
        let (connect, response) = (self.connect_timeout_in_seconds, self.response_timeout_in_seconds);
        let name = &self.method_name;
        // A percent sign would be decoded by some devices and not by others.
        let name_fits =
            (1..=100).contains(&name.len()) && name.chars().all(|c| c.is_ascii_graphic() && !"/#+?%".contains(c));
        if !name_fits {
            return Err(InvalidMethod::Name);
        }
        if !RESPONSE_TIMEOUT.contains(&response) {
            return Err(InvalidMethod::ResponseTimeout(response));
        }
        if !CONNECT_TIMEOUT.contains(&connect) {
            return Err(InvalidMethod::ConnectTimeout(connect));
        }
        if connect > response {
            return Err(InvalidMethod::ConnectLongerThanResponse { connect, response });
        }
        let size = self.payload.to_string().len();
        if size > MAX_PAYLOAD {
            return Err(InvalidMethod::PayloadSize(size));
        }
        Ok(())
    }
}

fn default_response() -> u32 {
    DEFAULT_RESPONSE_TIMEOUT
}

fn timeout<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    seconds(&Value::deserialize(deserializer)?).map_err(D::Error::custom)
}

/// A number, or its text.
pub(crate) fn seconds(value: &Value) -> Result<u32, &'static str> {
    let number = match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    number
        .and_then(|n| u32::try_from(n).ok())
        .ok_or("a time is a whole number of seconds")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> MethodRequest {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn absent_parts_have_the_documented_defaults() {
        assert_eq!(
            parsed(r#"{"methodName":"reboot"}"#),
            MethodRequest::new("reboot", Value::Null)
        );
        assert_eq!(
            parsed(r#"{"methodName":"r","responseTimeoutInSeconds":"60"}"#).response_timeout_in_seconds,
            60
        );
    }

    #[test]
    fn timeouts_names_and_payloads_are_checked_at_their_bounds() {
        let with = |response, connect| MethodRequest {
            response_timeout_in_seconds: response,
            connect_timeout_in_seconds: connect,
            ..parsed(r#"{"methodName":"m"}"#)
        };
        assert!(with(5, 0).check().is_ok() && with(300, 300).check().is_ok());
        assert_eq!(with(4, 0).check(), Err(InvalidMethod::ResponseTimeout(4)));
        assert_eq!(with(301, 0).check(), Err(InvalidMethod::ResponseTimeout(301)));
        assert!(matches!(
            with(30, 60).check(),
            Err(InvalidMethod::ConnectLongerThanResponse { .. })
        ));
        assert_eq!(MethodRequest::new("", Value::Null).check(), Err(InvalidMethod::Name));
        for name in ["a/b", "a%20b", "a b", "é"] {
            assert_eq!(MethodRequest::new(name, Value::Null).check(), Err(InvalidMethod::Name));
        }
        assert_eq!(MethodRequest::new("getReport*part_1.2~-", Value::Null).check(), Ok(()));
        assert!(matches!(
            MethodRequest::new("m", Value::from("x".repeat(MAX_PAYLOAD))).check(),
            Err(InvalidMethod::PayloadSize(_))
        ));
    }
}

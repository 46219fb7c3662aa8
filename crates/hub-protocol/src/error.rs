//! IoT Hub's errors: names, numbers, and the bodies they travel in.

use std::fmt;

use serde_json::{Value, json};

use crate::Timestamp;

macro_rules! codes {
    ($($name:ident = $number:literal,)*) => {
        /// An error code of the service. Its HTTP status is its first three digits.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorCode { $($name,)* }

        impl ErrorCode {
            const ALL: &[Self] = &[$(Self::$name,)*];

            pub fn number(self) -> u32 {
                match self { $(Self::$name => $number,)* }
            }

            /// As it stands in the `iothub-errorcode` header.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }
        }
    };
}

codes! {
    GenericBadRequest = 400_000,
    InvalidProtocolVersion = 400_001,
    InvalidOperation = 400_003,
    ArgumentInvalid = 400_004,
    ArgumentNull = 400_005,
    IotHubFormatError = 400_006,
    BlobContainerValidationError = 400_008,
    DeviceDefinedMultipleTimes = 400_011,
    BulkRegistryOperationFailure = 400_013,
    InvalidDeviceScope = 400_028,
    InvalidPolicyKey = 400_035,
    BulkRegenerateDeviceKeyOperationFailure = 400_036,
    InvalidConfigurationTargetCondition = 400_401,
    InvalidConfigurationContent = 400_402,
    InvalidConfigurationCustomMetricsQuery = 400_404,
    InvalidDigitalTwinJsonPatch = 400_505,
    InvalidDigitalTwinPayload = 400_506,
    InvalidDigitalTwinPatch = 400_507,
    InvalidDigitalTwinPatchPath = 400_508,
    IotHubUnauthorizedAccess = 401_002,
    IotHubUnauthorized = 401_003,
    SystemModuleModifyUnauthorizedAccess = 401_100,
    IotHubQuotaExceeded = 403_002,
    JobQuotaExceeded = 403_003,
    DeviceMaximumQueueDepthExceeded = 403_004,
    InvalidMessageExpiryTime = 403_009,
    DeviceDisabled = 403_012,
    DeviceMaximumInflightMethodExceeded = 403_800,
    GenericNotFound = 404_000,
    DeviceNotFound = 404_001,
    JobNotFound = 404_002,
    ModuleNotFound = 404_010,
    FeatureNotSupported = 404_013,
    DeviceNotOnline = 404_103,
    ConfigurationNotFound = 404_301,
    GenericMethodNotAllowed = 405_000,
    OperationNotAllowedInCurrentState = 405_102,
    DeviceAlreadyExists = 409_001,
    JobAlreadyExists = 409_104,
    ModuleAlreadyExistsOnDevice = 409_301,
    ConfigurationAlreadyExists = 409_401,
    PreconditionFailed = 412_001,
    DeviceMessageLockLost = 412_002,
    MessageTooLarge = 413_001,
    TooManyDevices = 413_002,
    TooManyModulesOnDevice = 413_003,
    ConfigurationCountLimitExceeded = 413_101,
    GenericUnsupportedMediaType = 415_000,
    ThrottlingException = 429_001,
    ThrottlingBacklogTimeout = 429_003,
    ThrottlingMaxActiveJobCountExceeded = 429_004,
    ServerError = 500_001,
    JobCancelled = 500_002,
    InvalidResponseWhileProxying = 502_000,
    ServiceUnavailable = 503_001,
    GatewayTimeout = 504_101,
}

impl ErrorCode {
    pub fn status(self) -> u16 {
        u16::try_from(self.number() / 1000).unwrap_or(500)
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.name() == name)
    }

    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.number() == number)
    }
}

/// An error as the hub states it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubError {
    pub code: ErrorCode,
    pub message: String,
}

impl HubError {
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    pub fn device_not_found(device_id: impl fmt::Display) -> Self {
        Self::new(
            ErrorCode::DeviceNotFound,
            format!("Device {device_id} is not registered."),
        )
    }

    /// Of a device or of one of its modules, as the id says.
    pub fn client_not_found(id: &crate::ClientId) -> Self {
        match &id.module_id {
            None => Self::device_not_found(&id.device_id),
            Some(module_id) => Self::new(
                ErrorCode::ModuleNotFound,
                format!("Module {module_id} is not registered on device {}.", id.device_id),
            ),
        }
    }

    /// The usual body: `{"Message":"ErrorCode:Name;text","ExceptionMessage":"Tracking ID:…"}`.
    /// Node splits at the first semicolon, C# wants the tracking text.
    pub fn body(&self, tracking_id: &str, now: Timestamp) -> Value {
        json!({
            "Message": format!("ErrorCode:{};{}", self.code.name(), self.message),
            "ExceptionMessage": format!("Tracking ID:{}", tracking(tracking_id, now)),
        })
    }

    /// The body of direct methods: the inner object as a JSON text in `Message`, all on one
    /// level because the C# client reads it as a flat map.
    pub fn method_body(&self, tracking_id: &str, now: Timestamp) -> Value {
        json!({ "Message": self.twin_body(tracking_id, now).to_string(), "ExceptionMessage": "" })
    }

    /// The body on a device's twin response topic; Node reads only `errorCode`.
    pub fn twin_body(&self, tracking_id: &str, now: Timestamp) -> Value {
        json!({
            "errorCode": self.code.number(),
            "trackingId": tracking(tracking_id, now),
            "message": self.message,
            "info": null,
            "timestampUtc": now,
        })
    }

    /// Reads any of the shapes above, with the `iothub-errorcode` header where there was one.
    /// `None` when neither names a code we know; the text is returned as it came.
    pub fn parse(header: Option<&str>, body: &str) -> (Option<ErrorCode>, String) {
        let value: Value = serde_json::from_str(body).unwrap_or(Value::Null);
        let outer = value["Message"]
            .as_str()
            .or_else(|| value["message"].as_str())
            .unwrap_or(body);
        let inner: Value = serde_json::from_str(outer).unwrap_or(Value::Null);
        let number = inner["errorCode"]
            .as_u64()
            .or_else(|| value["errorCode"].as_u64())
            .and_then(|n| u32::try_from(n).ok());
        let (named, text) = match outer.strip_prefix("ErrorCode:").and_then(|rest| rest.split_once(';')) {
            Some((name, text)) => (ErrorCode::from_name(name), text.to_owned()),
            None => (None, inner["message"].as_str().unwrap_or(outer).to_owned()),
        };
        let code = header
            .and_then(ErrorCode::from_name)
            .or(named)
            .or(number.and_then(ErrorCode::from_number));
        (code, text.chars().take(2000).collect())
    }
}

/// `A1-G:0-TimeStamp:06/01/2025 00:00:00`: the C# client wants it so.
fn tracking(id: &str, now: Timestamp) -> String {
    let (date, time) = (now.0.date(), now.0.time());
    let (month, day, year) = (u8::from(date.month()), date.day(), date.year());
    let (hour, minute, second) = time.as_hms();
    format!("{id}-G:0-TimeStamp:{month:02}/{day:02}/{year:04} {hour:02}:{minute:02}:{second:02}")
}

impl fmt::Display for HubError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} {})", self.message, self.code.number(), self.code.name())
    }
}

impl std::error::Error for HubError {}

impl From<crate::merge::TwinError> for HubError {
    fn from(error: crate::merge::TwinError) -> Self {
        Self::new(ErrorCode::ArgumentInvalid, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_body_shapes_are_read_back_with_their_code_and_text() {
        let error = HubError::new(ErrorCode::DeviceNotOnline, "Timed out waiting for device to connect.");
        for body in [
            error.body("A1", Timestamp::NEVER),
            error.method_body("A1", Timestamp::NEVER),
            error.twin_body("A1", Timestamp::NEVER),
        ] {
            assert_eq!(
                HubError::parse(None, &body.to_string()),
                (Some(ErrorCode::DeviceNotOnline), error.message.clone())
            );
        }
    }

    #[test]
    fn bodies_name_their_tracking_id_as_the_c_sharp_client_reads_it() {
        let error = HubError::device_not_found("d");
        let now = Timestamp::parse("2025-06-01T07:08:09.5Z").unwrap();
        let tracking = "A1-G:0-TimeStamp:06/01/2025 07:08:09";
        assert_eq!(
            error.body("A1", now)["ExceptionMessage"],
            format!("Tracking ID:{tracking}")
        );
        assert_eq!(error.twin_body("A1", now)["trackingId"], tracking);
    }

    #[test]
    fn the_header_wins_and_an_unknown_body_is_kept_as_text() {
        assert_eq!(
            HubError::parse(Some("DeviceNotFound"), "{}"),
            (Some(ErrorCode::DeviceNotFound), "{}".into())
        );
        assert_eq!(
            HubError::parse(None, "<html>bad gateway</html>"),
            (None, "<html>bad gateway</html>".into())
        );
    }

    #[test]
    fn the_status_is_the_first_three_digits() {
        assert_eq!(ErrorCode::DeviceNotOnline.status(), 404);
        assert_eq!(ErrorCode::GatewayTimeout.status(), 504);
        assert_eq!(ErrorCode::from_number(404_103), Some(ErrorCode::DeviceNotOnline));
    }
}
